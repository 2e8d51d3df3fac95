"""A fitted network as plain values, and back.

`plain`           arrays, numbers, strings and containers for our classes
`pickling`        a network's form and its numbers as arrays
`coded`           plain values as JSON and tensors
`tables`          many rows of one form as columns
`container`       JSON and tensors as one file, by safetensors
`checks`          objects from a file, against the classes' annotations
`sklearn_models`  scikit-learn's own network made of ours, and read
`onnx_model`      a network as a model of ONNX, and its file
`onnx_graph`      nodes and constants of such a one, and the activations
`onnx_outputs`    from outputs to predictions, as operators
`onnx_converter`  converters for skl2onnx, in Pipelines: `register_onnx`

May import what lies below `contract`, and that; never what trains.
"""
