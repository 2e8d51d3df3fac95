"""Optional packages: imported when asked for, and named where they are not there."""

import sys

import pytest

from sklearn_mlp.machine.optional_packages import import_optional


def test_a_package_that_is_there_is_imported():
    assert import_optional("json.decoder", extra="x", purpose="y").__name__ == "json.decoder"


def test_a_missing_package_is_named_with_what_installs_it():
    with pytest.raises(ImportError, match="to_x needs no_such_package, which is not") as caught:
        import_optional("no_such_package.part", extra="onnx", purpose="to_x")
    assert "pip install 'sklearn-mlp[onnx]'" in str(caught.value)
    assert caught.value.name == "no_such_package"


def test_what_a_package_itself_lacks_is_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import not_there_either")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_there_either'"):
        import_optional("needs_more", extra="x", purpose="y")
    sys.modules.pop("needs_more", None)
