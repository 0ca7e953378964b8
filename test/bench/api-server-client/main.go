// Logs tokens in as kube-apiserver does: over the connections of client-go's own transport, which keeps 25 idle ones for a host,
// offers HTTP/2, and shows a client certificate. It tells how many of those connections had to be made anew, and what that did to
// whoever waited.
//
//	api-server-client -url URL -ca F -cert F -key F -seconds S [-concurrent N [-every D] | -rate R] [-tokens N] [-first N]
//
// Each of N callers asks again as soon as it is answered; with -every, all N ask at the same moment instead, once in that time;
// with -rate, R of them come in a second, each at a time of its own, as users do. Prints one JSON object. The first second, in which
// the first connections are made, is not counted.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/transport"
)

const warmUp = time.Second

type figures struct {
	Requests   int     `json:"requests"`
	Errors     int64   `json:"errors"`
	Handshakes int64   `json:"handshakes"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	Max        float64 `json:"max_ms"`
	Protocol   string  `json:"protocol"`
}

type run struct {
	client             *http.Client
	url                string
	nTokens            int
	begin, end         time.Time
	handshakes, errors atomic.Int64
	next               atomic.Int64
	protocol           atomic.Value
	mutex              sync.Mutex
	took               []time.Duration
}

func (r *run) isCounted(started time.Time) bool {
	return !started.Before(r.begin)
}

// A handshake counts when it ends: also one that was begun for a request which then got a connection that another gave back.
func (r *run) context() context.Context {
	return httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			if r.isCounted(time.Now()) {
				r.handshakes.Add(1)
			}
		},
	})
}

// Whether the answer is a yes. The body is read to its end, or the connection could not be used again.
func (r *run) login() bool {
	token := fmt.Sprintf("%060d", r.next.Add(1)%int64(r.nTokens))
	body := fmt.Sprintf(`{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{},`+
		`"spec":{"token":%q,"audiences":["https://kubernetes.default.svc"]},"status":{"user":{}}}`, token)
	request, err := http.NewRequestWithContext(r.context(), http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		return false
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	r.protocol.Store(response.Proto)
	answer, err := io.ReadAll(response.Body)
	return err == nil && strings.Contains(string(answer), `"authenticated":true`)
}

func (r *run) timedLogin() {
	started := time.Now()
	isGood := r.login()
	if !r.isCounted(started) {
		return
	}
	if !isGood {
		r.errors.Add(1)
	}
	r.mutex.Lock()
	r.took = append(r.took, time.Since(started))
	r.mutex.Unlock()
}

func (r *run) callAgainAndAgain(nCallers int) {
	var callers sync.WaitGroup
	for range nCallers {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for time.Now().Before(r.end) {
				r.timedLogin()
			}
		}()
	}
	callers.Wait()
}

func (r *run) callAtOnce(nCallers int, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var callers sync.WaitGroup
	for time.Now().Before(r.end) {
		for range nCallers {
			callers.Add(1)
			go func() {
				defer callers.Done()
				r.timedLogin()
			}()
		}
		<-ticker.C
	}
	callers.Wait()
}

func (r *run) callNowAndThen(rate float64) {
	var callers sync.WaitGroup
	for at := time.Now(); at.Before(r.end); at = at.Add(time.Duration(rand.ExpFloat64() / rate * float64(time.Second))) {
		time.Sleep(time.Until(at))
		callers.Add(1)
		go func() {
			defer callers.Done()
			r.timedLogin()
		}()
	}
	callers.Wait()
}

func (r *run) figures() figures {
	sort.Slice(r.took, func(i, j int) bool { return r.took[i] < r.took[j] })
	quantile := func(q float64) float64 {
		if len(r.took) == 0 {
			return 0
		}
		return float64(r.took[int(q*float64(len(r.took)-1))].Microseconds()) / 1000
	}
	seconds := time.Since(r.begin).Seconds()
	protocol, _ := r.protocol.Load().(string)
	return figures{Requests: len(r.took), Errors: r.errors.Load(), Handshakes: r.handshakes.Load(), Seconds: seconds,
		PerSecond: float64(len(r.took)) / seconds, P50: quantile(0.5), P99: quantile(0.99), Max: quantile(1), Protocol: protocol}
}

func main() {
	url := flag.String("url", "", "where to ask")
	ca := flag.String("ca", "", "trusted for the webhook's certificate")
	cert := flag.String("cert", "", "client certificate")
	key := flag.String("key", "", "its key")
	concurrent := flag.Int("concurrent", 1, "callers")
	seconds := flag.Float64("seconds", 3, "that are measured")
	every := flag.Duration("every", 0, "all callers ask at the same moment, once in this time")
	rate := flag.Float64("rate", 0, "logins a second, each by a caller of its own")
	tokens := flag.Int("tokens", 1000, "different ones")
	first := flag.Int64("first", 0, "number of the first one")
	flag.Parse()

	way, err := transport.New(&transport.Config{TLS: transport.TLSConfig{CAFile: *ca, CertFile: *cert, KeyFile: *key}})
	if err != nil {
		log.Fatal(err)
	}
	begin := time.Now().Add(warmUp)
	r := &run{client: &http.Client{Transport: way, Timeout: 30 * time.Second}, url: *url, nTokens: *tokens, begin: begin,
		end: begin.Add(time.Duration(*seconds * float64(time.Second)))}
	r.next.Store(*first)
	switch {
	case *rate > 0:
		r.callNowAndThen(*rate)
	case *every > 0:
		r.callAtOnce(*concurrent, *every)
	default:
		r.callAgainAndAgain(*concurrent)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r.figures()); err != nil {
		log.Fatal(err)
	}
}
