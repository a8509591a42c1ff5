package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Names inside a signer's folder.
const (
	keyFile    = "key.pem"         // ed25519 private key, PKCS #8
	signerFile = "publisher.state" // everything signed so far, the newest included
	// keyLabel is the key's ID in the metadata. TUF leaves IDs to the
	// repository (TAP 12); a short one keeps a head under 400 bytes.
	keyLabel = "1"
)

// newKey makes a key and writes it to path.
func newKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, durable.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// readKey reads what newKey wrote, and refuses it if others may read it too.
func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	if info.Size() > 4096 {
		return nil, fmt.Errorf("read key: %w: %s has %d bytes, which is no key", ErrState, path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("read key: %w: %s is no PEM file with a PRIVATE KEY", ErrState, path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read key: %w: %s: %w", ErrState, path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read key: %w: %s is not an ed25519 key", ErrState, path)
	}
	return key, nil
}

// checkPrivate refuses a file or folder that others than its owner may use.
// Windows has no such bits; there the folder's access list is the operator's
// business.
func checkPrivate(path string, info fs.FileInfo) error {
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return fmt.Errorf("%w: others may use %s (mode %v): take their rights with chmod go-rwx, and replace the key if it may have been read", ErrState, path, info.Mode().Perm())
}

// checkPrivateFolder is checkPrivate for the folder dir and the key in it.
func checkPrivateFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("open signer: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("open signer: %w: %s is no folder", ErrState, dir)
	}
	return checkPrivate(dir, info)
}

// createFolder makes dir with what fill puts into it: all of it or, after a
// failure or a crash, nothing. The error wraps ErrExists if there is something
// in dir already.
func createFolder(dir string, fill func(dir string) error) (err error) {
	dir = filepath.Clean(dir)
	parent := filepath.Dir(dir)
	if err := durable.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) != 0 {
		return fmt.Errorf("%s: %w: the folder is not empty", dir, ErrExists)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	making, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+"-new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(making))
		}
	}()
	if err := fill(making); err != nil {
		return err
	}
	if err := durable.SyncDir(making); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Commit point: a folder that has appeared meanwhile is not replaced,
	// since it is not empty.
	if err := os.Rename(making, dir); err != nil {
		return err
	}
	return durable.SyncDir(parent)
}

// signDocument returns meta signed with key under label, in the one form that
// decodeDocument reads.
func signDocument[T metadata.Roles](meta *metadata.Metadata[T], key ed25519.PrivateKey, label string) ([]byte, error) {
	signer, err := signature.LoadED25519Signer(key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if _, err := meta.Sign(signer); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	meta.Signatures[len(meta.Signatures)-1].KeyID = label
	data, err := meta.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return data, nil
}
