"""An epoch's steps as one compiled function, for plain networks and those of tables, on a CPU.

`library`  whether it was built, for which processor, and what multiplies
`forms`    what it can run, told from a fit's parts; where the answer is no, why
`plan`     the compiled plan of a fit, and its epochs

``module.cpp`` is the binding; ``steps.hpp`` the steps, built by ``steps_*.cpp`` for each kind of
processor from ``losses.hpp``, ``activations.hpp``, ``descent.hpp`` and ``elementary.hpp``, and
from ``products.hpp``, which chooses between ``tiles.hpp`` and BLAS; ``forms.hpp`` is what they
agree on, and ``subnormals.hpp`` what the smallest numbers become.

May import `contract`, and what lies below it.
"""
