// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are those of OpenTelemetry's GenAI conventions that ours has, and requests by outcome.
type metrics struct {
	requests                       *prometheus.CounterVec
	tokens                         *prometheus.HistogramVec
	duration, firstToken, perToken *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	histogram := func(name string, buckets []float64, more ...string) *prometheus.HistogramVec {
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Buckets: buckets},
			append([]string{"gen_ai_operation_name", "gen_ai_request_model", "gen_ai_response_model"}, more...))
		registry.MustRegister(vec)
		return vec
	}
	m := &metrics{
		requests:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total"}, []string{"outcome"}),
		tokens:     histogram("gen_ai_client_token_usage", prometheus.ExponentialBuckets(1, 4, 14), "gen_ai_token_type"),
		duration:   histogram("gen_ai_server_request_duration_seconds", prometheus.ExponentialBuckets(0.01, 2, 14)),
		firstToken: histogram("gen_ai_server_time_to_first_token_seconds", prometheus.ExponentialBuckets(0.001, 2, 16)),
		perToken:   histogram("gen_ai_server_time_per_output_token_seconds", prometheus.ExponentialBuckets(0.001, 2, 13)),
	}
	registry.MustRegister(m.requests)
	return m
}

// serve answers /metrics.
func serve(address string, gatherer prometheus.Gatherer) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	return http.ListenAndServe(address, mux)
}

// record counts a request whose reply has ended. A nil m counts nothing.
func (m *metrics) record(s *stream) {
	if m == nil {
		return
	}
	now := time.Now()
	m.requests.WithLabelValues("routed").Inc()
	m.duration.WithLabelValues(s.operation, s.requested, s.model).Observe(now.Sub(s.start).Seconds())
	for _, kind := range [...][2]string{
		{"input", "prompt_tokens"}, {"output", "completion_tokens"}, {"cached_input", "prompt_tokens_details.cached_tokens"},
	} {
		if count := s.usage.Get(kind[1]); count.Exists() {
			m.tokens.WithLabelValues(s.operation, s.requested, s.model, kind[0]).Observe(count.Num)
		}
	}
	if s.first.IsZero() {
		return
	}
	m.firstToken.WithLabelValues(s.operation, s.requested, s.model).Observe(s.first.Sub(s.start).Seconds())
	if output := s.usage.Get("completion_tokens").Num; output > 1 {
		m.perToken.WithLabelValues(s.operation, s.requested, s.model).Observe(now.Sub(s.first).Seconds() / (output - 1))
	}
}

// refuse counts a request that got a 400.
func (m *metrics) refuse(code string) {
	if m != nil {
		m.requests.WithLabelValues(code).Inc()
	}
}
