"""OpenTelemetry (the extra ``plantao[otel]``): a command's way as spans, sent to ``telemetry.endpoint``.

Nothing here is imported unless that is set. ``spans`` names them, ``export`` sends them.
"""
