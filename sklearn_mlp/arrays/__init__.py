"""What the user passes as X and y: made readable, checked, turned into tensors.

`array_likes`    what is no array, and what to do instead
`readable`       tensors and sparse matrices that are no numbers
`plain`          numbers as they are, in which there is nothing to check
`tensors`        from arrays to tensors, and numbers too large for them
`asked_ahead`    parts of a file that the system is asked for ahead
`mapped`         files that are mapped into memory
`stored`         arrays in files, and which of them are read some rows at a time
`target_checks`  the checks of y before it is read
`checks`         the checks of X

May import `machine`.
"""
