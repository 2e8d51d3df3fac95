"""Rows read from elsewhere, in blocks that can be read again.

`base`        `RowSource`: the protocol for one's own
`arrow`       Parquet files, data sets and tables of Arrow's
`dask`        Dask's collections
`torch`       torch's data sets and loaders
`choice`      which objects are read as sources
`parts`       some rows of a source as arrays
`blocks`      a source that was gone through, as an array
`first_pass`  what is learned of a source before training

May import `machine` and `arrays`.
"""
