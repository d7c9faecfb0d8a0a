// SPDX-License-Identifier: Apache-2.0

// Package scan answers: may this image go out? It reads the archive that `make image` leaves, needs
// no engine, and has one table of checks (checks.go).
package scan

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// File is a member of an archive or of a layer.
type File struct {
	*tar.Header
	Data []byte
}

// Layer is one, unpacked.
type Layer struct {
	Digest string
	Size   int64 // compressed
	Files  []File
}

// Settings is what of an image's config the engine acts on.
type Settings struct {
	User         string
	Entrypoint   []string
	Cmd          []string
	Env          []string
	ExposedPorts map[string]struct{}
	Labels       map[string]string
}

// Image is one image of an archive.
type Image struct {
	Name         string // as the index has it
	Digest       string // of its manifest
	Architecture string
	OS           string
	Created      time.Time
	Settings     Settings
	Layers       []Layer
	Programs     map[string]*Program // every ELF file, by its path in the image
	Bills        map[string]*Bill    // every bill of materials, by its path
}

// Files are those of all layers.
func (i *Image) Files() (files []File) {
	for _, layer := range i.Layers {
		files = append(files, layer.Files...)
	}
	return files
}

// Size is what a node fetches, in bytes.
func (i *Image) Size() (size int64) {
	for _, layer := range i.Layers {
		size += layer.Size
	}
	return size
}

// Archive is a file that `make image` leaves, by its members.
type Archive map[string]File

// Untar unpacks in memory.
func Untar(data []byte) (files []File, err error) {
	for reader := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return nil, err
		}
		files = append(files, File{header, content})
	}
}

// OpenArchive reads a file.
func OpenArchive(path string) (Archive, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files, err := Untar(data)
	if err != nil {
		return nil, err
	}
	archive := Archive{}
	for _, file := range files {
		archive[file.Name] = file
	}
	return archive, nil
}

// Digest is written as OCI writes it.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

type platform struct{ Architecture, OS string }

type descriptor struct {
	MediaType   string
	Digest      string
	Size        int64
	Annotations map[string]string
	Platform    *platform // in an index of several machines
}

func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w in %.200s", err, data)
	}
	return nil
}

// blob is what a descriptor describes, if it really is that.
func (a Archive) blob(described descriptor) ([]byte, error) {
	path := "blobs/" + strings.Replace(described.Digest, ":", "/", 1)
	found, exists := a[path]
	if !exists {
		return nil, fmt.Errorf("no %s in the archive", path)
	}
	if Digest(found.Data) != described.Digest || int64(len(found.Data)) != described.Size {
		return nil, fmt.Errorf("%s, %d bytes, is %s, %d bytes",
			described.Digest, described.Size, Digest(found.Data), len(found.Data))
	}
	return found.Data, nil
}

// Images are all that the archive's index leads to; an error says what of the archive is broken.
func (a Archive) Images() ([]*Image, error) {
	var layout struct{ ImageLayoutVersion string }
	if err := decode(a["oci-layout"].Data, &layout); err != nil {
		return nil, err
	}
	if layout.ImageLayoutVersion != "1.0.0" {
		return nil, fmt.Errorf("layout %q", layout.ImageLayoutVersion)
	}
	return a.images(a["index.json"].Data, "")
}

func (a Archive) images(index []byte, name string) (images []*Image, err error) {
	var read struct{ Manifests []descriptor }
	if err := decode(index, &read); err != nil {
		return nil, err
	}
	for _, described := range read.Manifests {
		data, err := a.blob(described)
		if err != nil {
			return nil, err
		}
		called := described.Annotations["io.containerd.image.name"]
		if called == "" {
			called = name
		}
		var more []*Image
		if strings.Contains(described.MediaType, "image.index") {
			more, err = a.images(data, called)
		} else {
			var image *Image
			image, err = a.image(data)
			more = []*Image{image}
			if err == nil {
				image.Name, image.Digest = called, described.Digest
				err = described.isOf(image)
			}
		}
		if err != nil {
			return nil, err
		}
		images = append(images, more...)
	}
	return images, nil
}

func (d descriptor) isOf(image *Image) error {
	if own := (platform{image.Architecture, image.OS}); d.Platform != nil && *d.Platform != own {
		return fmt.Errorf("the index has %s as %v, its config says %v", d.Digest, *d.Platform, own)
	}
	return nil
}

func (a Archive) image(data []byte) (*Image, error) {
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	if err := decode(data, &manifest); err != nil {
		return nil, err
	}
	data, err := a.blob(manifest.Config)
	if err != nil {
		return nil, err
	}
	var config struct {
		Architecture, OS string
		Created          time.Time
		Config           Settings
		RootFS           struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := decode(data, &config); err != nil {
		return nil, err
	}
	image := &Image{Architecture: config.Architecture, OS: config.OS, Created: config.Created,
		Settings: config.Config, Programs: map[string]*Program{}, Bills: map[string]*Bill{}}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return nil, fmt.Errorf("%d layers, the config says %d", len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	for i, described := range manifest.Layers {
		data, err := a.blob(described)
		if err != nil {
			return nil, err
		}
		files, err := layer(data, config.RootFS.DiffIDs[i])
		if err != nil {
			return nil, err
		}
		image.Layers = append(image.Layers, Layer{described.Digest, described.Size, files})
	}
	return image, image.look()
}

func layer(data []byte, diffID string) ([]File, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, err
	}
	if Digest(content) != diffID {
		return nil, fmt.Errorf("a layer is %s, the config says %s", Digest(content), diffID)
	}
	return Untar(content)
}

// look reads the programs and bills of materials.
func (i *Image) look() error {
	for _, file := range i.Files() {
		path := "/" + strings.TrimSuffix(file.Name, "/")
		if bytes.HasPrefix(file.Data, []byte("\x7fELF")) {
			program, err := ReadProgram(file.Data)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			i.Programs[path] = program
		}
		if strings.HasSuffix(path, ".spdx.json") {
			bill := &Bill{}
			if err := json.Unmarshal(file.Data, bill); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			i.Bills[path] = bill
		}
	}
	return nil
}
