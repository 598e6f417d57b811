{{/*
What has grown in a span: [metric, span]. A counter begins with its first event, which `increase` does not see.
*/}}
{{- define "storefront-operator.grew" -}}
{{- $metric := index . 0 }}{{ $span := index . 1 -}}
increase({{ $metric }}[{{ $span }}]) > 0 or ({{ $metric }} > 0 unless {{ $metric }} offset {{ $span }})
{{- end -}}

{{/*
The alerts: each is a rule, but `what` and `do`, which become its texts. Templates of Prometheus stand in raw strings.
docs/alerts.md has a section for each.
*/}}
{{- define "storefront-operator.alerts" -}}
{{- $limits := .Values.metrics.prometheusRule.limits -}}
operator:
  - alert: StorefrontNotReady
    expr: max by (namespace, name) (storefront_operator_storefront_ready) == 0
    for: {{ $limits.notReadyFor }}
    severity: warning
    what: {{ `Storefront {{ $labels.namespace }}/{{ $labels.name }} is not ready.` | quote }}
    do: {{ `Its conditions say what is wrong and what to do: kubectl --namespace {{ $labels.namespace }} describe storefront {{ $labels.name }}` | quote }}
  - alert: StorefrontNotApplied
    expr: time() - max by (namespace, name) (storefront_operator_storefront_last_success_timestamp_seconds) > {{ $limits.notAppliedSeconds }}
    for: 5m
    severity: warning
    what: {{ `Nothing was done for Storefront {{ $labels.namespace }}/{{ $labels.name }} with success for {{ $value | humanizeDuration }}: edits of it have no effect.` | quote }}
    do: {{ `Its condition Progressing says why: kubectl --namespace {{ $labels.namespace }} describe storefront {{ $labels.name }}` | quote }}
  - alert: StorefrontOperatorAway
    expr: absent(storefront_operator_leading == 1)
    for: 5m
    severity: critical
    what: No operator leads. Shops go on as they are; nothing is repaired, and no edit has an effect.
    do: Look after the operator's pods, and after their right to the Lease.
  - alert: StorefrontOperatorFailing
    expr: sum by (reason) (increase(storefront_operator_errors_total{reason!~"Replacing|NotLeading"}[15m])) > {{ $limits.errors }}
    for: 15m
    severity: warning
    what: {{ `Attempts fail again and again ({{ $labels.reason }}).` | quote }}
    do: The operator's log names the Storefront and the cause of each.
  - alert: StorefrontOperatorRestless
    expr: sum by (kind) (rate(storefront_operator_writes_total{verb!="status"}[15m])) > {{ $limits.writesPerSecond }}
    for: 30m
    severity: warning
    what: {{ `The operator writes {{ $labels.kind }} without end: something else writes the same fields.` | quote }}
    do: {{ `Find the other writer: kubectl get {{ $labels.kind }} --show-managed-fields --output yaml` | quote }}
  - alert: StorefrontOperatorSlow
    expr: histogram_quantile(0.9, sum by (le) (rate(storefront_operator_reconcile_duration_seconds_bucket[15m]))) > {{ $limits.slowSeconds }}
    for: 30m
    severity: warning
    what: Attempts take long, so edits and repairs come late.
    do: Look whether the API server and the brokers answer in time, and at the operator's limits.
  - alert: StorefrontOperatorOverdue
    expr: max(storefront_operator_overdue_seconds) > {{ $limits.overdueSeconds }}
    for: 5m
    severity: warning
    what: {{ `A Storefront waits for the operator for {{ $value | humanizeDuration }}: there is more to do than it gets done.` | quote }}
    do: Look at its limits, and whether the API server and the brokers answer in time.
payments:
  - alert: StorefrontGatewayFailing
    expr: >-
      sum by (namespace, shop) (rate(http_server_request_duration_seconds_count{component="gateway", status=~"5.."}[5m]))
      / sum by (namespace, shop) (rate(http_server_request_duration_seconds_count{component="gateway"}[5m])) > {{ $limits.gatewayErrorRatio }}
    for: 5m
    severity: critical
    what: {{ `{{ $value | humanizePercentage }} of the requests at {{ $labels.namespace }}/{{ $labels.shop }} fail.` | quote }}
    do: storefront_gateway_failures_total says which service does not answer, and why.
  - alert: StorefrontStripeFailing
    expr: >-
      sum by (namespace, shop) (rate(storefront_stripe_calls_total{result!="ok"}[10m]))
      / sum by (namespace, shop) (rate(storefront_stripe_calls_total[10m])) > {{ $limits.stripeErrorRatio }}
    for: 10m
    severity: critical
    what: {{ `{{ $value | humanizePercentage }} of the calls of {{ $labels.namespace }}/{{ $labels.shop }} to Stripe fail.` | quote }}
    do: The label `result` of storefront_stripe_calls_total says why. A wrong key wants a new Secret; an outage is on Stripe's status page.
  - alert: StorefrontWebhooksRefused
    expr: sum by (namespace, shop, reason) (increase(storefront_stripe_webhooks_refused_total[15m])) > {{ $limits.webhooksRefused }}
    for: 15m
    severity: warning
    what: {{ `{{ $labels.namespace }}/{{ $labels.shop }} refuses webhooks ({{ $labels.reason }}). Payments are still found, later, by asking Stripe.` | quote }}
    do: Compare the Secret's webhook-secret with the endpoint's at Stripe, and the clocks.
  - alert: StorefrontPaymentHeld
    expr: {{ include "storefront-operator.grew" (list `storefront_payments_total{state="held"}` "1h") }}
    severity: critical
    what: {{ `{{ $labels.namespace }}/{{ $labels.shop }} holds a payment: Stripe says another amount or currency than was asked for.` | quote }}
    do: Find the session in the log of payment, compare it at Stripe, and refund it or fulfil it by hand.
  - alert: StorefrontAuditGaps
    expr: {{ include "storefront-operator.grew" (list "storefront_audit_gaps_total" "1h") }}
    severity: warning
    what: {{ `An audit of {{ $labels.namespace }}/{{ $labels.shop }} found gaps ({{ $labels.gap }}) between Stripe and what came of it.` | quote }}
    do: Run storefront audit to see them, with --fix to close them, and look for their cause.
events:
  - alert: StorefrontLag
    expr: sum by (namespace, shop, component, topic) (storefront_consumer_lag) > {{ $limits.lag }}
    for: {{ $limits.lagFor }}
    severity: warning
    what: {{ `{{ $labels.component }} of {{ $labels.namespace }}/{{ $labels.shop }} is {{ $value }} events behind on {{ $labels.topic }}.` | quote }}
    do: See whether it works (storefront groups); with traffic to match, give it more replicas, up to the number of partitions.
  - alert: StorefrontDeadLetters
    expr: {{ include "storefront-operator.grew" (list "storefront_dead_letters_total" "1h") }}
    severity: warning
    what: {{ `{{ $labels.component }} of {{ $labels.namespace }}/{{ $labels.shop }} gave up on an event ({{ $labels.reason }}).` | quote }}
    do: Read it with storefront dlq list and show; when its cause is mended, storefront dlq replay.
  - alert: StorefrontEventsParked
    expr: min_over_time(storefront_parked[30m]) > 0
    for: 15m
    severity: warning
    what: {{ `{{ $labels.component }} of {{ $labels.namespace }}/{{ $labels.shop }} tries {{ $value }} events again and again.` | quote }}
    do: Its log names the cause. After the last attempt they become dead letters.
  - alert: StorefrontRecordsExpired
    expr: {{ include "storefront-operator.grew" (list "storefront_records_expired_total" "1h") }}
    severity: critical
    what: {{ `Events of {{ $labels.topic }} were removed before {{ $labels.component }} of {{ $labels.namespace }}/{{ $labels.shop }} read them.` | quote }}
    do: Raise the topic's retention.ms; storefront audit --since 30d --fix sends again what is missing.
  - alert: StorefrontOutboxFull
    expr: min_over_time(storefront_outbox_depth[10m]) > {{ $limits.outboxDepth }}
    for: 5m
    severity: critical
    what: {{ `{{ $labels.component }} of {{ $labels.namespace }}/{{ $labels.shop }} cannot send its messages to Kafka; {{ $value }} wait.` | quote }}
    do: Look after the brokers. Nothing is lost, all of it is sent when they are back.
  - alert: StorefrontMessagesRefused
    expr: max by (namespace, shop, component) (storefront_outbox_failed) > 0
    for: 5m
    severity: critical
    what: {{ `Kafka refuses {{ $value }} messages of {{ $labels.component }} of {{ $labels.namespace }}/{{ $labels.shop }} for good; later ones of the same users wait behind them.` | quote }}
    do: The log names the error, such as a missing right or a size above the topic's max.message.bytes.
mail:
  - alert: StorefrontMailServerAway
    expr: max by (namespace, shop) (storefront_smtp_up) == 0
    for: 15m
    severity: critical
    what: {{ `{{ $labels.namespace }}/{{ $labels.shop }} cannot reach its mail server. Mails wait, for three days at most.` | quote }}
    do: Check spec.email.smtp and its Secret; the log of email has what the server said.
  - alert: StorefrontMailsFailed
    expr: {{ include "storefront-operator.grew" (list `storefront_mails_total{state="failed"}` "1h") }}
    severity: warning
    what: {{ `A mail server refused mails of {{ $labels.namespace }}/{{ $labels.shop }} for good.` | quote }}
    do: The log of email has the reply; each is a dead letter that can be replayed.
{{- end -}}
