package config_test

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stile-gate/stile/cmd/stile/config"
)

// manyRoutes is a configuration of n routes that use most options.
func manyRoutes(n int) []byte {
	var b strings.Builder
	b.WriteString("listen: { auth: 127.0.0.1:4180, proxy: \":8080\" }\ntrust: [127.0.0.0/8]\n" +
		"authenticators:\n  partner: { api_key: { header: X-API-Key } }\n  staff: { jwt: { issuer: https://id.example.com, audience: orders } }\n" +
		"upstreams:\n  orders: { targets: [ { url: http://127.0.0.1:8081 } ] }\nroutes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: route-%d\n    match: GET api.example.com/v1/orders%d/{path...}\n"+
			"    authenticate: [partner, staff]\n    require: { groups: [partners], scopes: [orders:read] }\n    upstream: orders\n", i, i)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	data := manyRoutes(1000)
	b.Run("stile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, problems := config.Parse("stile.yaml", data, nil); len(problems) > 0 {
				b.Fatal(problems)
			}
		}
	})
	b.Run("yaml alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var n yaml.Node
			if err := yaml.Unmarshal(data, &n); err != nil {
				b.Fatal(err)
			}
		}
	})
}
