"""A fitted network as plain values, and back.

`plain`     arrays, numbers, strings and containers for our classes
`pickling`  a network's form and its numbers as arrays
`sklearn_models`  scikit-learn's own network made of ours, and read

May import what lies below `contract`, and that; never what trains.
"""
