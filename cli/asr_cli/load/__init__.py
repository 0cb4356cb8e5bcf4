"""Load on a server, and an account of every task that it accepted.

`percentiles`, `plan`, `problem`, `ledger` and `report` are pure; `traffic` is the load itself; only
`session` and `run` speak HTTP. No request is sent again in silence: each error is counted.
"""
