"""From what the user passes as X and y to the batches of a fit.

`array_likes`      arrays as they are; what is none, and what to do instead
`readable`         tensors and sparse matrices that are no numbers
`tensors`          from arrays to tensors, and numbers too large for them
`target_checks`    the checks of y before it is read
`checks`           the checks of X
`labels`           the forms of labels: columns, types, classes
`targets`          codecs: what targets stand for; numbers and their scale
`label_codecs`     from labels to codes, and back
`class_weights`    the weight of each class
`samples`          the data to train on, and to be watched on
`rows`             samples, whatever they lie in, and how batches of them come
`dense`            one tensor, and the ways to bring it into an epoch's order
`sparse`           sparse rows, multiplied as they are or made dense by batch
`converted`        arrays of any type, converted a block at a time
`mapped`           files that are mapped into memory
`stored`           arrays in files, and which of them are read some rows at a time
`reading`          a thread that reads while the caller computes
`stored_rows`      what samples that are read from elsewhere have in common
`streamed`         rows of these, the next block read while the last is computed
`sources`          rows in blocks that can be read again: the protocol for one's own
`arrow_source`     those of Parquet files, data sets and tables of Arrow's
`dask_source`      those of Dask's collections
`torch_source`     those of torch's data sets and loaders
`source_kinds`     which objects are read as sources
`parts`            some rows of a source as arrays
`first_pass`       what is learned of a source before training
`blocks`           a source that was gone through, as an array
`sourced`          rows of these, shuffled block by block
`kinds`            which kind of rows checked samples become
`batches`          the batches of one fit, in scikit-learn's order
`stacked_batches`  those of k networks, side by side

May import `machine` and `losses`.
"""
