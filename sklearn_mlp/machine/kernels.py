"""The operations of torch that are not public API.

torch's own autograd and optimizers call these on every step, so they are as stable as its
internals get; they are used because one pass over memory beats the two to nine that public calls
need. Where one that younger versions have brought is missing, a public fallback serves; those
looked up without asking are as old as the oldest torch that this package takes.
"""

import ctypes
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sklearn_mlp.machine.devices import KINDS

HAS_FUSED_ADAM = hasattr(torch, "_fused_adam_")
HAS_FUSED_ADAMW = hasattr(torch, "_fused_adamw_")

HAS_ONEDNN_LINEAR = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)


def _direct(operation: Any) -> Any:
    """Return what an operation of torch.ops wraps; the wrapper is a fourth of a small call."""
    return getattr(operation, "_op", operation)


# Looked up once: the path through torch.ops takes half as long as the operation itself.
_RELU_BACKWARD = _direct(torch.ops.aten.threshold_backward.grad_input)
_TANH_BACKWARD = _direct(torch.ops.aten.tanh_backward.grad_input)
_LOGISTIC_BACKWARD = _direct(torch.ops.aten.sigmoid_backward.grad_input)
_LEAKY_RELU_BACKWARD = torch.ops.aten.leaky_relu_backward.grad_input
_ELU_BACKWARD = torch.ops.aten.elu_backward.grad_input


def _find(name: str, overload: str) -> Any:
    """Return an operation if this torch has it."""
    return getattr(getattr(torch.ops.aten, name, None), overload, None)


_GELU_BACKWARD = _find("gelu_backward", "grad_input")
_SILU_BACKWARD = _find("silu_backward", "grad_input")
_MISH_BACKWARD = _find("mish_backward", "default")
_SOFTPLUS_BACKWARD = _find("softplus_backward", "grad_input")


# Not torch's own class, whose methods are Python: an interrupt within them would leave the mode
# switched. It takes a third of the time, too.
_INFERENCE_MODE: Callable[[bool], AbstractContextManager[Any]] = getattr(
    torch._C, "_InferenceMode", torch.inference_mode
)


def inference_mode(mode: bool = True) -> AbstractContextManager[Any]:
    """Return what `torch.inference_mode` does; False is ordinary mode, with gradients."""
    return _INFERENCE_MODE(mode)


def _thread_functions() -> Any:
    """Return the library that torch's calls of OpenMP go to, or None where it is out of reach."""
    try:
        # Found among what torch is linked with, and called without letting go of the GIL.
        library = ctypes.PyDLL(torch._C.__file__)
        library.omp_set_num_threads.argtypes = [ctypes.c_int]
        library.omp_set_num_threads.restype = None
    except (AttributeError, OSError, TypeError):
        return None
    return library


_OPENMP = _thread_functions()
_HAS_MKL = hasattr(_OPENMP, "MKL_Set_Num_Threads_Local") and hasattr(
    _OPENMP, "MKL_Get_Max_Threads"
)


def own_threads() -> tuple[int, int]:
    """Return how many threads torch takes in the calling thread, and how many its MKL."""
    n_threads = torch.get_num_threads()
    return n_threads, _OPENMP.MKL_Get_Max_Threads() if _HAS_MKL else n_threads


def set_own_threads(n_threads: int, n_mkl: int | None = None) -> None:
    """Let torch take so many threads in the calling thread.

    `torch.set_num_threads` sets besides what every thread gets that uses torch for the first time,
    and keeps: it is taken only where OpenMP itself cannot be reached.
    """
    if torch.get_num_threads() != n_threads and _OPENMP is not None:
        _OPENMP.omp_set_num_threads(n_threads)
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)
    # MKL follows OpenMP until a number of its own is set, as `torch.set_num_threads` does.
    if _HAS_MKL and _OPENMP.MKL_Get_Max_Threads() != (n_mkl or n_threads):
        _OPENMP.MKL_Set_Num_Threads_Local(n_mkl or n_threads)


def is_autocast_on() -> bool:
    """Tell whether `torch.autocast` is in force, on whichever device."""
    return _IS_AUTOCAST_ON()


_IS_AUTOCAST_ON: Callable[[], bool] = getattr(
    torch._C, "_is_any_autocast_enabled", lambda: bool(autocast_devices())
)


def has_meta_default() -> bool:
    """Tell whether torch makes tensors without numbers where nothing says on which device."""
    return _COUNT_FUNCTION_MODES() > 0 and torch.get_default_device().type == "meta"


# Asking for the default device takes longer than a row's products; it is one of these modes.
_COUNT_FUNCTION_MODES: Callable[[], int] = getattr(
    torch._C, "_len_torch_function_stack", lambda: 1
)


def autocast_devices() -> list[str]:
    """Return the types of devices that `torch.autocast` is in force on."""
    return [
        kind
        for kind in KINDS
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    ]


def relu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Set ``delta`` to 0 where the rectified output is 0, in place."""
    return _RELU_BACKWARD(delta, activated, 0, grad_input=delta)


def tanh_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by ``1 - activated**2``, in place."""
    return _TANH_BACKWARD(delta, activated, grad_input=delta)


def logistic_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by ``activated * (1 - activated)``, in place."""
    return _LOGISTIC_BACKWARD(delta, activated, grad_input=delta)


def backward_by_autograd(
    function: Callable[[Tensor], Tensor],
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the backward form of an activation, from its input: the public, slower way."""

    def backward_(delta: Tensor, values: Tensor) -> Tensor:
        """Multiply ``delta`` by the derivative at ``values``, in place."""
        # Copies: what was made in inference mode is of no use to autograd.
        with inference_mode(False):
            inputs = values.clone().requires_grad_()
            (result,) = torch.autograd.grad(function(inputs), inputs, delta.clone())
        return delta.copy_(result)

    return backward_


# From the output, with the constants of torch's functions: of ELU its alpha, its scale, and the
# factor before the exponent; of leaky ReLU its slope.
_ELU = (1.0, 1.0, 1.0)
_SELU = (1.6732632423543772, 1.0507009873554805, 1.0)
_SLOPE = 0.01


def leaky_relu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by 0.01 where the output is negative, in place."""
    return _LEAKY_RELU_BACKWARD(delta, activated, _SLOPE, True, grad_input=delta)


def elu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by ``activated + 1`` where the output is negative, in place."""
    return _ELU_BACKWARD(delta, *_ELU, True, activated, grad_input=delta)


def selu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of SELU, from its output, in place."""
    return _ELU_BACKWARD(delta, *_SELU, True, activated, grad_input=delta)


# From the input. The slope of these has no short form in the output.


def gelu_(values: Tensor) -> Tensor:
    """Apply GELU in place."""
    return values.copy_(torch.nn.functional.gelu(values))


def silu_(values: Tensor) -> Tensor:
    """Apply SiLU in place."""
    return torch.nn.functional.silu(values, inplace=True)


def mish_(values: Tensor) -> Tensor:
    """Apply Mish in place."""
    return torch.nn.functional.mish(values, inplace=True)


def softplus_(values: Tensor) -> Tensor:
    """Apply softplus in place."""
    return values.copy_(torch.nn.functional.softplus(values))


def gelu_backward_(delta: Tensor, values: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of GELU, from its input, in place."""
    if _GELU_BACKWARD is None:
        return _gelu_by_autograd_(delta, values)
    return _GELU_BACKWARD(delta, values, approximate="none", grad_input=delta)


def silu_backward_(delta: Tensor, values: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of SiLU, from its input, in place."""
    if _SILU_BACKWARD is None:
        return _silu_by_autograd_(delta, values)
    return _SILU_BACKWARD(delta, values, grad_input=delta)


def mish_backward_(delta: Tensor, values: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of Mish, from its input, in place."""
    if _MISH_BACKWARD is None:
        return _mish_by_autograd_(delta, values)
    return delta.copy_(_MISH_BACKWARD(delta, values))


def softplus_backward_(delta: Tensor, values: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of softplus, from its input, in place."""
    if _SOFTPLUS_BACKWARD is None:
        return _softplus_by_autograd_(delta, values)
    return _SOFTPLUS_BACKWARD(delta, values, 1.0, 20.0, grad_input=delta)


_gelu_by_autograd_ = backward_by_autograd(torch.nn.functional.gelu)
_silu_by_autograd_ = backward_by_autograd(torch.nn.functional.silu)
_mish_by_autograd_ = backward_by_autograd(torch.nn.functional.mish)
_softplus_by_autograd_ = backward_by_autograd(torch.nn.functional.softplus)


def onednn_product(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ right`` by oneDNN, in float32; strided factors are taken as they are.

    What torch's compiler emits for a linear layer; only where `HAS_ONEDNN_LINEAR`.
    """
    return torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")


class AdamVectors(NamedTuple):
    """The four vectors of one length that Adam works on."""

    values: Tensor
    gradient: Tensor
    first_moment: Tensor
    second_moment: Tensor


def adam_update_(
    vectors: AdamVectors,
    step: int,
    step_holder: Tensor,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    penalty: float = 0.0,
) -> None:
    """Take step number ``step`` (from 1) of Adam, with scikit-learn's epsilon, in place.

    Kingma and Ba (2014), section 2, last paragraph: the bias correction is folded into the step
    size, and ``epsilon`` is added outside it. torch adds it inside, hence the division here.
    ``penalty`` times the values is added to the gradient, which may be used up. ``step_holder``
    is a scalar tensor of float32 that holds ``step``, on the device of the vectors.
    """
    values, gradient, first, second = vectors
    correction = math.sqrt(1 - beta_2**step)
    if HAS_FUSED_ADAM:
        torch._fused_adam_(
            [values],
            [gradient],
            [first],
            [second],
            [],
            [step_holder],
            lr=learning_rate,
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=penalty,
            eps=epsilon / correction,
            amsgrad=False,
            maximize=False,
        )
        return
    if penalty:
        gradient.add_(values, alpha=penalty)
    first.lerp_(gradient, 1 - beta_1)
    second.mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
    step_size = learning_rate * correction / (1 - beta_1**step)
    values.addcdiv_(first, second.sqrt().add_(epsilon), value=-step_size)


def adamw_update_(
    vectors: AdamVectors,
    step: int,
    step_holder: Tensor,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    decay: float = 0.0,
) -> None:
    """Take step number ``step`` (from 1) of `torch.optim.AdamW`, in place.

    Its epsilon is inside the bias correction, and its decay shrinks the values by ``decay`` times
    the learning rate first. ``step_holder`` is as for `adam_update_`.
    """
    values, gradient, first, second = vectors
    if HAS_FUSED_ADAMW:
        torch._fused_adamw_(
            [values],
            [gradient],
            [first],
            [second],
            [],
            [step_holder],
            lr=learning_rate,
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=decay,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
        )
        return
    values.mul_(1 - learning_rate * decay)
    first.lerp_(gradient, 1 - beta_1)
    second.mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
    root = (second / (1 - beta_2**step)).sqrt_().add_(epsilon)
    values.addcdiv_(first, root, value=-learning_rate / (1 - beta_1**step))


class AdamLists(NamedTuple):
    """Lists of tensors of the same shapes that Adam works on."""

    values: list[Tensor]
    gradients: list[Tensor]
    first_moments: list[Tensor]
    second_moments: list[Tensor]


def adam_update_many_(
    lists: AdamLists,
    step: int,
    step_holder: Tensor,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Take a step of Adam on many tensors in one call; see `adam_update_`."""
    if not HAS_FUSED_ADAM:
        for vectors in zip(*lists, strict=True):
            adam_update_(
                AdamVectors(*vectors), step, step_holder, learning_rate, beta_1, beta_2, epsilon
            )
        return
    torch._fused_adam_(
        *lists,
        [],
        [step_holder] * len(lists.values),
        lr=learning_rate,
        beta1=beta_1,
        beta2=beta_2,
        weight_decay=0.0,
        eps=epsilon / math.sqrt(1 - beta_2**step),
        amsgrad=False,
        maximize=False,
    )


# What a module knows of itself, read without its slow way of looking attributes up. Where torch
# keeps it under another name, a module counts as changed: it is called, which is slower.
_BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")
# torch empties and fills the same dictionaries.
_ON_ALL_MODULES = [
    getattr(torch.nn.modules.module, f"_global{name}", {"": "unknown"})
    for name in ("_forward_hooks", "_forward_pre_hooks", *_BACKWARD_HOOKS)
]


def has_hooks_on_all_modules() -> bool:
    """Tell whether torch has hooks that every module calls."""
    return any(_ON_ALL_MODULES)


def is_called_plainly(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Tell whether a call of a module is nothing but ``kind.forward``."""
    known = module.__dict__
    return (
        type(module) is kind
        and not known.get("_forward_hooks", True)
        and not known.get("_forward_pre_hooks", True)
        and "forward" not in known
    )


def has_backward_hooks(module: nn.Module) -> bool:
    """Tell whether a module calls hooks when autograd goes back through it."""
    return any(module.__dict__.get(name, True) for name in _BACKWARD_HOOKS)


def has_gradient_hooks(parameter: Tensor) -> bool:
    """Tell whether a parameter calls hooks when it gets its gradient."""
    hooks = (parameter._backward_hooks, getattr(parameter, "_post_accumulate_grad_hooks", None))
    return any(hooks)


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Return a module's own parameters, by name, without those of its parts."""
    found: dict[str, nn.Parameter | None] = module.__dict__.get("_parameters") or {}
    return found


def parts_of(module: nn.Module) -> dict[str, nn.Module]:
    """Return a module's parts by name; one that is there twice is so here."""
    found: dict[str, nn.Module] | None = module.__dict__.get("_modules")
    return dict(module.named_children()) if found is None else found


def recompute_attributes(network: nn.Module) -> None:
    """Let torch's own hooks compute anew what they keep as attributes, such as a pruned weight.

    They do so when a layer is called: what was computed before the last step is out of date, and
    what was computed for autograd cannot be copied.
    """
    with torch.no_grad():
        for module in network.modules():
            for hook in list((module.__dict__.get("_forward_pre_hooks") or {}).values()):
                kinds = [kind.__module__ for kind in type(hook).__mro__]
                if any(name.startswith("torch.nn.utils.") for name in kinds):
                    hook(module, None)


def is_training_anywhere(network: nn.Module) -> bool:
    """Tell whether a module, or any part of it, is in training mode."""
    modules = [network]
    while modules:
        module = modules.pop()
        if module.training:
            return True
        modules += filter(None, parts_of(module).values())
    return False


def are_all_set(modules: Iterable[nn.Module | None], training: bool) -> bool:
    """Tell whether `Module.train` would change nothing of some modules, nor of their parts."""
    to_see = list(modules)
    for module in to_see:
        if module is None:
            continue
        known = module.__dict__
        has_own = type(module).train is not nn.Module.train or "train" in known
        if has_own or known.get("training") is not training or "_modules" not in known:
            return False
        to_see += known["_modules"].values()
    return True
