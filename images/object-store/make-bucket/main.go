// make-bucket prepares one bucket and the ordinary account that owns it, as often as it is run.
//
// It talks to versitygw's admin API itself because `versitygw admin create-user` takes the new
// account's secret as an argument, and arguments are visible to every process of the node.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const patience = 120 * time.Second

type account struct {
	XMLName xml.Name `xml:"Account"`
	Access  string
	Secret  string
	Role    string
}

type changes struct {
	XMLName xml.Name `xml:"MutableProps"`
	Secret  string
	Role    string
}

type bucketList struct {
	Buckets []struct{ Name, Owner string }
}

// refusal is an answer of the store that is not success.
type refusal struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	status  int
}

func (r *refusal) Error() string {
	return fmt.Sprintf("HTTP %d %s %s", r.status, r.Code, r.Message)
}

type store struct {
	endpoint, region string
	root             aws.Credentials
	http             *http.Client
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run(ctx); err != nil {
		say("failed: %v", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	env, err := settings("S3_ENDPOINT", "ROOT_ACCESS_KEY", "ROOT_SECRET_KEY",
		"USER_ACCESS_KEY", "USER_SECRET_KEY", "BUCKET")
	if err != nil {
		return err
	}
	region := os.Getenv("VGW_REGION")
	if region == "" {
		region = "us-east-1"
	}
	s := store{
		endpoint: strings.TrimRight(env["S3_ENDPOINT"], "/"),
		region:   region,
		root: aws.Credentials{
			AccessKeyID: env["ROOT_ACCESS_KEY"], SecretAccessKey: env["ROOT_SECRET_KEY"],
		},
		http: &http.Client{Timeout: 10 * time.Second},
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	user, bucket := env["USER_ACCESS_KEY"], env["BUCKET"]
	if err := s.ensureAccount(ctx, user, env["USER_SECRET_KEY"]); err != nil {
		return fmt.Errorf("the account: %w", err)
	}
	if err := s.ensureBucket(ctx, bucket, user); err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	return nil
}

func settings(names ...string) (map[string]string, error) {
	values, missing := map[string]string{}, []string{}
	for _, name := range names {
		if values[name] = os.Getenv(name); values[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("set %s in the environment", strings.Join(missing, ", "))
	}
	return values, nil
}

// wait says one line when it starts to wait, one every ten seconds, and one when the store answers.
func (s store) wait(ctx context.Context) error {
	begin := time.Now()
	said := begin.Add(-time.Hour)
	for {
		err := s.alive(ctx)
		if err == nil {
			say("%s answers after %.0f s", s.endpoint, time.Since(begin).Seconds())
			return nil
		}
		if time.Since(said) > 10*time.Second {
			say("waiting for %s: %v", s.endpoint, err)
			said = time.Now()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer within %.0f s: %w",
				s.endpoint, patience.Seconds(), err)
		case <-time.After(time.Second):
		}
	}
}

func (s store) alive(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint+"/health", nil)
	if err != nil {
		return err
	}
	answer, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("health says HTTP %d", answer.StatusCode)
	}
	return nil
}

func (s store) ensureAccount(ctx context.Context, access, secret string) error {
	body, err := xml.Marshal(account{Access: access, Secret: secret, Role: "user"})
	if err != nil {
		return err
	}
	err = s.admin(ctx, "/create-user", body, nil, nil)
	if err == nil {
		say("account made")
		return nil
	}
	if !refusedWith(err, "XAdminUserExists") {
		return err
	}
	// Whatever it was before, it is now the ordinary account with this secret.
	if body, err = xml.Marshal(changes{Secret: secret, Role: "user"}); err != nil {
		return err
	}
	path := "/update-user?" + url.Values{"access": {access}}.Encode()
	if err := s.admin(ctx, path, body, nil, nil); err != nil {
		return err
	}
	say("account is there")
	return nil
}

func (s store) ensureBucket(ctx context.Context, name, owner string) error {
	before, err := s.ownerOf(ctx, name)
	if err != nil {
		return err
	}
	switch before {
	case owner:
		say("bucket %s is there", name)
		return nil
	case "":
		err := s.admin(ctx, "/"+url.PathEscape(name)+"/create", nil,
			http.Header{"X-Vgw-Owner": {owner}}, nil)
		if err == nil {
			say("bucket %s made", name)
		}
		return err
	default: // the access key was rotated
		path := "/change-bucket-owner?" + url.Values{"bucket": {name}, "owner": {owner}}.Encode()
		if err := s.admin(ctx, path, nil, nil, nil); err != nil {
			return err
		}
		say("bucket %s handed to its new owner", name)
		return nil
	}
}

func (s store) ownerOf(ctx context.Context, name string) (string, error) {
	var all bucketList
	if err := s.admin(ctx, "/list-buckets", nil, nil, &all); err != nil {
		return "", err
	}
	for _, bucket := range all.Buckets {
		if bucket.Name == name {
			return bucket.Owner, nil
		}
	}
	return "", nil
}

// admin sends one signed request; into receives the answer when it is not nil.
func (s store) admin(
	ctx context.Context, path string, body []byte, header http.Header, into any,
) error {
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPatch, s.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for key, values := range header {
		request.Header[key] = values
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	err = v4.NewSigner().SignHTTP(ctx, s.root, request, hash, "s3", s.region, time.Now())
	if err != nil {
		return err
	}
	answer, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		refused := &refusal{status: answer.StatusCode}
		_ = xml.Unmarshal(text, refused) // an answer that is not XML still has its status
		return refused
	}
	if into == nil {
		return nil
	}
	return xml.Unmarshal(text, into)
}

func refusedWith(err error, code string) bool {
	var refused *refusal
	return errors.As(err, &refused) && refused.Code == code
}

func say(format string, args ...any) {
	fmt.Printf("make-bucket: "+format+"\n", args...)
}
