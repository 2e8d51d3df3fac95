"""The native backend: the closed-form step and the loop around it."""
