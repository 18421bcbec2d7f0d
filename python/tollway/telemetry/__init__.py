"""What Tollway tells its operators: JSON logs and Prometheus metrics.

Nothing here waits: a log line goes into a bounded queue, a metric into memory shared with the other workers.
Nothing here is global: the composition root builds one :class:`~tollway.telemetry.logs.Log` and one
:class:`~tollway.telemetry.metrics.Metrics` and hands them around.
"""
