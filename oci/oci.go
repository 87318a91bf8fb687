// Package oci moves blobs, manifests and indexes between OCI layouts, archives of layouts and registries.
package oci
