package rx

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
	"hishub/platform/order"
)

// Signature over some bytes.
type Signature struct {
	// Algorithm: RSA-SHA256 or SM2-SM3, with -LOCAL after it where no authority vouches for it.
	Algorithm string `json:"algorithm"`
	Value     []byte `json:"value"`
	// Certificate is the serial number of the signer's certificate.
	Certificate string `json:"certificate"`
}

// Signer signs for a person: a certification authority's service, or LocalSigner.
type Signer interface {
	Sign(ctx context.Context, account int64, content []byte) (Signature, error)
	// Verify returns ErrSignature when the signature is not that person's over the content.
	Verify(ctx context.Context, account int64, content []byte, s Signature) error
}

// ErrSignature: a signature does not fit what it is said to sign.
var ErrSignature = errors.New("the signature does not fit: what was signed was changed, or somebody else signed it")

// LocalSigner signs with keys that the platform makes itself, one a person. It shows that
// nothing was changed; no authority vouches for the person, so it is not legally valid,
// and its algorithms say LOCAL.
type LocalSigner struct {
	*clinic.Clinic
	// SM2 signs with SM2 and SM3 in place of RSA and SHA-256.
	SM2 bool
}

const (
	localRSA = "RSA-SHA256-LOCAL"
	localSM2 = "SM2-SM3-LOCAL"
	rsaBits  = 2048
)

// Sign implements Signer.
func (l LocalSigner) Sign(ctx context.Context, account int64, content []byte) (Signature, error) {
	s := Signature{Algorithm: localRSA}
	if l.SM2 {
		s.Algorithm = localSM2
	}
	private, certificate, err := l.key(ctx, account, s.Algorithm)
	if err != nil {
		return s, fmt.Errorf("sign: %w", err)
	}
	s.Certificate = certificate
	if l.SM2 {
		key, err := smx509.ParsePKCS8PrivateKey(private)
		if err != nil {
			return s, fmt.Errorf("sign: read the key: %w", err)
		}
		own, ok := key.(*sm2.PrivateKey)
		if !ok {
			return s, errors.New("sign: the key is not one for SM2")
		}
		s.Value, err = own.Sign(rand.Reader, content, sm2.DefaultSM2SignerOpts)
		return s, err
	}
	key, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return s, fmt.Errorf("sign: read the key: %w", err)
	}
	own, ok := key.(*rsa.PrivateKey)
	if !ok {
		return s, errors.New("sign: the key is not one for RSA")
	}
	sum := sha256.Sum256(content)
	s.Value, err = rsa.SignPKCS1v15(nil, own, crypto.SHA256, sum[:])
	return s, err
}

type overKey struct{}

// over has the signer look for keys by the connection that its caller holds.
func over(ctx context.Context, q order.Querier) context.Context {
	return context.WithValue(ctx, overKey{}, q)
}

func connection(ctx context.Context, otherwise order.Querier) order.Querier {
	if q, ok := ctx.Value(overKey{}).(order.Querier); ok {
		return q
	}
	return otherwise
}

// Verify implements Signer, with either algorithm.
func (l LocalSigner) Verify(ctx context.Context, account int64, content []byte, s Signature) error {
	rows, err := connection(ctx, l.Database).Query(ctx, `select public from rx.signing_key where account = $1 and algorithm = $2 and certificate = $3`, account, s.Algorithm, s.Certificate)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	public, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrSignature
	} else if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if s.Algorithm == localSM2 {
		key, err := smx509.ParsePKIXPublicKey(public)
		if err != nil {
			return fmt.Errorf("verify: read the key: %w", err)
		}
		own, ok := key.(*ecdsa.PublicKey)
		if !ok || !sm2.VerifyASN1WithSM2(own, nil, content, s.Value) {
			return ErrSignature
		}
		return nil
	}
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("verify: read the key: %w", err)
	}
	own, ok := key.(*rsa.PublicKey)
	sum := sha256.Sum256(content)
	if !ok || rsa.VerifyPKCS1v15(own, crypto.SHA256, sum[:], s.Value) != nil {
		return ErrSignature
	}
	return nil
}

// key of a person; the first time it is made.
func (l LocalSigner) key(ctx context.Context, account int64, algorithm string) (private []byte, certificate string, err error) {
	number := fmt.Sprintf("%d/%s", account, algorithm)
	for range 2 {
		var sealed []byte
		err = l.Database.QueryRow(ctx, `select private, certificate from rx.signing_key where account = $1 and algorithm = $2`, account, algorithm).Scan(&sealed, &certificate)
		if err == nil {
			private, err = l.Vault.Open(sealed, "signing key", number)
			return private, certificate, err
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return nil, "", err
		}
		if err = l.make(ctx, account, algorithm, number); err != nil {
			return nil, "", err
		}
	}
	return nil, "", err
}

func (l LocalSigner) make(ctx context.Context, account int64, algorithm, number string) error {
	var private, public []byte
	var err error
	if algorithm == localSM2 {
		key, e := sm2.GenerateKey(rand.Reader)
		if e != nil {
			return e
		}
		if private, err = smx509.MarshalPKCS8PrivateKey(key); err == nil {
			public, err = smx509.MarshalPKIXPublicKey(&key.PublicKey)
		}
	} else {
		key, e := rsa.GenerateKey(rand.Reader, rsaBits)
		if e != nil {
			return e
		}
		if private, err = x509.MarshalPKCS8PrivateKey(key); err == nil {
			public, err = x509.MarshalPKIXPublicKey(&key.PublicKey)
		}
	}
	if err != nil {
		return err
	}
	sealed, err := l.Vault.Seal(private, "signing key", number)
	if err != nil {
		return err
	}
	var serial [8]byte
	rand.Read(serial[:])
	_, err = l.Database.Exec(ctx, `insert into rx.signing_key (account, algorithm, certificate, private, public) values ($1, $2, $3, $4, $5) on conflict do nothing`,
		account, algorithm, "LOCAL-"+hex.EncodeToString(serial[:]), sealed, public)
	return err
}
