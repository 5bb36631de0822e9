"""The one place that touches Faust, mode and the internals of aiokafka; everything else in `monitor` is plain steps.

`fetch` takes whole record batches out of aiokafka, `consumer` and `transport` hand them to Faust agents as `batching`
says, `security` maps one set of TLS and SASL settings to each Kafka client that we use.
"""
