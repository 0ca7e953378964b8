// A plain TokenReview webhook, as one writes it in Go: net/http, the types of k8s.io/api, a map as cache, an http.Client to
// the provider. Written to be measured against: no rules, no audit, no limits.
//
//	webhook-go -listen 127.0.0.1:8443 -cert F -key F -client-ca F -endpoint URL -ca F -id ID -secret-file F -ttl 1h [-http2]
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type introspection struct {
	Active   bool     `json:"active"`
	Subject  string   `json:"sub"`
	Username string   `json:"preferred_username"`
	Groups   []string `json:"groups"`
	Expires  int64    `json:"exp"`
}

type entry struct {
	reply introspection
	until time.Time
}

type webhook struct {
	client       *http.Client
	endpoint     string
	id, secret   string
	ttl          time.Duration
	mutex        sync.RWMutex
	introspected map[[sha256.Size]byte]entry
}

func (w *webhook) introspect(token string) (introspection, error) {
	key := sha256.Sum256([]byte(token))
	now := time.Now()
	w.mutex.RLock()
	cached, found := w.introspected[key]
	w.mutex.RUnlock()
	if found && now.Before(cached.until) {
		return cached.reply, nil
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequest(http.MethodPost, w.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return introspection{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(w.id), url.QueryEscape(w.secret))
	response, err := w.client.Do(request)
	if err != nil {
		return introspection{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body) // to its end, or the connection is not used again
	if err != nil {
		return introspection{}, err
	}
	var reply introspection
	if err := json.Unmarshal(body, &reply); err != nil {
		return introspection{}, err
	}
	w.mutex.Lock()
	w.introspected[key] = entry{reply: reply, until: now.Add(w.ttl)}
	w.mutex.Unlock()
	return reply, nil
}

func (w *webhook) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	var review authenticationv1.TokenReview
	if err := json.NewDecoder(request.Body).Decode(&review); err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	answer := authenticationv1.TokenReview{TypeMeta: metav1.TypeMeta{Kind: "TokenReview", APIVersion: review.APIVersion}}
	reply, err := w.introspect(review.Spec.Token)
	switch {
	case err != nil:
		answer.Status.Error = "the provider cannot be asked"
	case reply.Active && time.Now().Unix() < reply.Expires:
		answer.Status.Authenticated = true
		answer.Status.User = authenticationv1.UserInfo{Username: "demo:" + reply.Username, UID: reply.Subject}
		for _, group := range reply.Groups {
			answer.Status.User.Groups = append(answer.Status.User.Groups, "demo:"+group)
		}
	}
	writer.Header().Set("Content-Type", "application/json")
	json.NewEncoder(writer).Encode(&answer)
}

func pool(path string) *x509.CertPool {
	pem, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	certificates := x509.NewCertPool()
	certificates.AppendCertsFromPEM(pem)
	return certificates
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "address")
	cert := flag.String("cert", "", "server certificate")
	key := flag.String("key", "", "its key")
	clientCA := flag.String("client-ca", "", "CA of callers")
	endpoint := flag.String("endpoint", "", "introspection endpoint")
	ca := flag.String("ca", "", "CA of the provider")
	id := flag.String("id", "", "client id")
	secretFile := flag.String("secret-file", "", "file with the client secret")
	ttl := flag.Duration("ttl", time.Hour, "how long an answer is kept")
	http2 := flag.Bool("http2", false, "spoken too; without it HTTP/1.1 only, as ours")
	flag.Parse()
	secret, err := os.ReadFile(*secretFile)
	if err != nil {
		log.Fatal(err)
	}
	handler := &webhook{
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: pool(*ca)},
			MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256,
		}, Timeout: 5 * time.Second}, // as ours has one: without it a provider that hangs would hang every login
		endpoint: *endpoint, id: *id, secret: strings.TrimSpace(string(secret)), ttl: *ttl,
		introspected: map[[sha256.Size]byte]entry{},
	}
	mux := http.NewServeMux()
	mux.Handle("/authenticate", handler)
	server := &http.Server{
		Addr: *listen, Handler: mux, ErrorLog: log.New(io.Discard, "", 0), // who gives a connection up that was dialled too many
		TLSConfig: &tls.Config{ClientCAs: pool(*clientCA), ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12},
	}
	if !*http2 {
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}
