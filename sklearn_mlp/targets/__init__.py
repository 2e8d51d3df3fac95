"""What targets stand for: labels, codes, numbers and their scale.

`codecs`         from targets to what is trained on, and back; numbers and their scale
`labels`         the forms of labels: columns, types, classes
`label_codecs`   from labels to codes, and back
`joined_codecs`  the codes of labels that several have parts of
`class_weights`  the weight of each class

May import `machine` and `arrays`.
"""
