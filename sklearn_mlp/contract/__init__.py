"""The contract with a backend: what it is given, and what it leaves; nouns only.

`config`        the settings of a fit, checked and resolved
`fit`           everything that a backend trains with
`state`         the state that training goes on from, and the history
`tensor_trees`  tensors within dictionaries and lists, mapped and saved
`observers`     who looks on while a network is trained

May import `network`, and what lies below it.
"""
