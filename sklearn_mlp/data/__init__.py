"""From checked samples and encoded targets to the batches of a fit.

`rows`             samples, whatever they lie in, and how batches of them come
`dense`            one tensor, and the ways to bring it into an epoch's order
`sparse`           sparse rows, multiplied as they are or made dense by batch
`converted`        arrays of any type, converted a block at a time
`reading`          a thread that reads while the caller computes
`stored_rows`      what samples that are read from elsewhere have in common
`streamed`         rows of arrays in files, the next block read while the last is computed
`block_order`      the order of an epoch of rows that are read block by block
`filled`           some rows of each batch, filled up, where other processes have the rest
`sourced`          rows of sources, shuffled block by block
`kinds`            which kind of rows checked samples become
`row_numbers`      where one process's rows are among those of all
`samples`          the data to train on, and to be watched on
`batches`          the batches of one fit, in scikit-learn's order
`stacked_batches`  those of k networks, side by side

May import `sources`, `targets`, `arrays`, `losses` and `machine`.
"""
