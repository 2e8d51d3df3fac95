"""A fitted network as plain values, and back.

`plain`     arrays, numbers, strings and containers for our classes
`pickling`  a network's form and its numbers as arrays

May import what lies below `contract`, and that; never what trains.
"""
