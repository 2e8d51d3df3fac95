"""The network: a `torch.nn.Module`, its parameters, and what a user makes of it.

`mlp`                 the module
`parameter_vector`    its parameters as one vector
`stacked_parameters`  the parameters of k networks in one piece of memory
`architecture`        which network the parameters ask for
`activations`         the activations: functions, derivatives, modules
`dropout`             masks, from a generator of their own
`normalization`       batch and layer normalisation
`initial_weights`     scikit-learn's initial weights, and others
`user_module`         a module of the user's, tried before it is trained
`module_parameters`   the parameters module__<name>
`alterations`         a user's changes to a fitted network
`memory`              a network that no memory holds, refused by name

May import `data`, and what lies below it.
"""
