{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* A quantity of Kubernetes, or a size of ours, as a plain number (1Gi is 1073741824, 100m is 0.1); empty if it is none. */}}
{{- define "envoy-ai-gateway.number" -}}
{{- $text := kindIs "string" . | ternary . (toJson .) -}}
{{- $unit := regexFind "(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$" $text -}}
{{- $factors := dict "" 1 "m" 0.001
      "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
      "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- $number := trimSuffix $unit $text -}}
{{- if regexMatch "^([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$" $number -}}
{{- mulf (float64 $number) (get $factors $unit) | printf "%f" -}}
{{- end -}}
{{- end }}

{{/* A number of pods, or a share of [pods, count] rounded up, as Kubernetes does for a disruption budget. */}}
{{- define "envoy-ai-gateway.podCount" -}}
{{- $pods := index . 0 | toString -}}
{{- if hasSuffix "%" $pods -}}
{{- div (add (mul (trimSuffix "%" $pods | int64) (index . 1)) 99) 100 -}}
{{- else -}}
{{- $pods -}}
{{- end -}}
{{- end }}

{{/* Whether the IPv4 network [inner, outer] lies inside, and is smaller: as Kubernetes wants an `except` to be. */}}
{{- define "envoy-ai-gateway.isInside" -}}
{{- $bits := list -}}
{{- range . -}}
  {{- $parts := splitList "/" . -}}
  {{- $address := 0 -}}
  {{- range splitList "." (first $parts) }}{{ $address = add (mul $address 256) (int64 .) }}{{ end -}}
  {{- $bits = append $bits (dict "address" $address "prefix" (last $parts | int)) -}}
{{- end -}}
{{- $inner := first $bits -}}
{{- $outer := last $bits -}}
{{- $size := 1 -}}
{{- range until (sub 32 $outer.prefix | int) }}{{ $size = mul $size 2 }}{{ end -}}
{{- if and (gt $inner.prefix $outer.prefix) (eq (div $inner.address $size) (div $outer.address $size)) }}yes{{ end -}}
{{- end }}
