"""How fast is sklearn_mlp, against whom, and is it the same work?

    python -m benchmarks --data FOLDER

runs every workload against every peer, in turn (A B C A B C ...), after checking that their
results agree, and writes a table, a report and plots to `benchmarks/results/`. Sample output,
shortened:

    digits, (100,), batch 200
      sklearn-float64      agrees: loss curve off by 0.0e+00 (margin 1e-09)
      ours                 agrees: loss curve off by 2.9e-08 (margin 1e-03)
      ours-float64         agrees: loss curve off by 1.5e-16 (margin 1e-09)
      skorch               agrees: test score off by 5.1e-03 (margin 2e-02)
      round 1/5  ours                    0.0442 s
      round 1/5  ours-float64            0.0731 s
      round 1/5  sklearn-float64         0.1369 s
      ...

A selection, a smoke test, and the same comparison on a table of one's own:

    python -m benchmarks --workloads digits mnist-256 --peers ours sklearn-float64 --repeats 9
    python -m benchmarks --quick
    python -m benchmarks --csv table.csv --target column

The order of calls:

    __main__.Suite.run                  which sections, workloads, peers
      runner.run_workload               one workload against all peers
        workloads.Workload.problem      its data (data.DataSource)
        runner.enter                    peers.Peer.prepare: a call per peer that does the work
        runner.check                    agreement.compare_*: whose times may count
        timing.interleave               the rounds
      memory.run_memory                 peak memory, each in a process of its own
      files.run_files                   rows in a file, each peer in a process of its own
      imports.run_imports               import times
      scaling.scaling_workloads         points of curves, run like any workload
      search.run_search                 whole searches, agreement of their scores first
    report.write_report, plots.draw_plots   what is written (results.Results holds the rows)
    summary.summary_table               all workloads at a glance, also for the README
"""
