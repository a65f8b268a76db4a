"""The monitor: Faust agents over results and dead letters, rules over windows of them, alerts out of those.

`judge.py` and what it uses (state, rules, episodes) is pure: no Kafka, no clock. `supervise.py` rebuilds the state from
the topics, `streams.agents` keeps it up to date, `supervise.py` begins again after whatever ends that.
"""
