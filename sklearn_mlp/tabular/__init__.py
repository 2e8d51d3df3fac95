"""Tables as they come: encoded, learned by networks on folds, and predicted.

`encoder`               `TabularEncoder`
`codes`                 how a table is coded, all columns together
`columns`               a table as the user has it: numbers, dates, words
`categorical_features`  which columns hold categories
`numbers`               scales, waves and piecewise linear codes
`categories`            levels, and a column for each
`dates`                 when a date is, as numbers

May import `estimators`, and what lies below them.
"""
