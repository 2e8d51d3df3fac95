"""Tables as they come: encoded, learned by networks on folds, and predicted.

A fit goes through `base._fit` from top to bottom: check, encode, split, train two groups of
networks, each by `training.train_group`, and weigh them by rows that they have not seen.

`classifier`            `TabularMLPClassifier`
`regressor`             `TabularMLPRegressor`
`base`                  what they share: `_fit` from top to bottom
`preparation`           what is done before anything is trained
`prepared_fit`          what is settled by that
`judgements`            who is told when networks have been judged: callbacks, a bar
`parameters`            what their parameters may be
`saved_state`           what they are pickled as, and saved in files
`ensemble`              two groups of networks, trained and asked
`training`              a group on its folds, step by step
`batches`               which rows each step takes
`masks`                 what dropout leaves of hidden values
`compiled_steps`        steps in compiled code, one network after the other
`torch_steps`           the same by torch, anywhere: forwards, backwards, AdamW
`plan`                  how many steps, at which rates, and when networks are judged
`best_moment`           networks judged by rows not seen, and the best kept
`apart`                 a group of folds that are to know nothing of one another
`members`               k networks side by side, while they learn and afterwards
`held_outputs`          what groups say of rows not seen, and what each counts
`judging`               losses, temperatures and weights by rows not seen
`scoring`               a scorer asked what outputs of rows not seen are worth
`intervals`             quantiles by the errors at rows not seen
`importances`           what a column is worth, by rows not seen
`folds`                 which rows each network learns from
`coded_rows`            the code of rows, all at once or batch by batch
`encoder`               `TabularEncoder`
`codes`                 how a table is coded, all columns together
`tables`                a table as the user has it, checked, column by column
`column_types`          how a column is read, by its type
`columns`               a column: numbers, dates, words
`categorical_features`  which columns hold categories
`numbers`               scales, waves and piecewise linear codes
`components`            principal components of numbers, of one variance
`thresholds`            where numbers are cut in two, because classes change there
`categories`            levels, and a column for each
`dates`                 when a date is, as numbers

May import `estimators`, and what lies below them.
"""
