"""Processes that train one network together: the group that a fit finds, and what they agree on.

`context`    `distributed`, and whether a fit is one of many processes' or alone
`group`      sums over the processes by torch.distributed, and its errors made clear
`agreement`  that all were given the same

A process's number in the group is its rank, as torch calls it. What is done by them together is in
`sklearn_mlp.training`: ``rank_batches``, ``rank_steps`` and ``rank_run``.

May import `machine`.
"""
