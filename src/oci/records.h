/* records.h - what passes between the core and cloister-image, and what the store keeps: JSON
 * turned into records of base/flat.h.
 *
 * Digests are texts, "sha256:" and 64 lower-case hexadecimal digits; who reads a record parses
 * them (oci/digest.h) before anything is named by one. Nothing here is decided: what a record
 * says is what a stranger's manifest says, in a form that can be read without a parser.
 *
 * Sources: OCI image specification 1.1 (manifest, index, config), Docker image manifest
 * version 2 schema 2, CNCF TAG Runtime "Wasm OCI artifact layout".
 */
#ifndef CL_OCI_RECORDS_H
#define CL_OCI_RECORDS_H

#include "base/flat.h"

#define CL_RECORD_BIT(field) (1ULL << (field))

enum {
    CL_MAX_LAYERS = 127,             /* overlay has 500, Docker 127 */
    CL_MAX_MANIFEST_BYTES = 4 << 20, /* as registries have it */
    CL_MAX_RECORD_BYTES = 4 << 20,
};

/* --- a manifest, or what an index chose ------------------------------------ */

enum cl_manifest_kind {
    CL_MANIFEST_CHOICE, /* an index: `target` is the manifest of the platform that was asked for */
    CL_MANIFEST_IMAGE,  /* an image: `target` is its config */
    CL_MANIFEST_KIND_COUNT,
};

enum cl_compression {
    CL_COMPRESSION_NONE,
    CL_COMPRESSION_GZIP,
    CL_COMPRESSION_ZSTD,
    CL_COMPRESSION_COUNT,
};

/* The media type of a module's config. */
#define CL_MODULE_CONFIG_TYPE "application/vnd.wasm.config.v0+json"

/* What an image's layers are. */
enum cl_payload {
    CL_PAYLOAD_FILES,
    CL_PAYLOAD_FILES_OF_MODULE, /* and the command that they are for is a WebAssembly module */
    CL_PAYLOAD_MODULE,          /* one WebAssembly module, as it is */
    CL_PAYLOAD_COUNT,
};

struct cl_manifest_layer {
    const char *digest;  /* of what travels; "" where nobody said it (image/origin.h) */
    uint64_t size_bytes; /* as it travels */
    uint32_t compression;
};

struct cl_manifest_layers {
    const struct cl_manifest_layer *items;
    size_t count;
};

enum cl_manifest_field {
    CL_MANIFEST_KIND,
    CL_MANIFEST_MEDIA_TYPE,
    CL_MANIFEST_TARGET,
    CL_MANIFEST_TARGET_SIZE,
    CL_MANIFEST_TARGET_TYPE,
    CL_MANIFEST_LAYERS,
    CL_MANIFEST_NAME,
    CL_MANIFEST_PAYLOAD,
    CL_MANIFEST_TITLE,
    CL_MANIFEST_FIELD_COUNT,
};

struct cl_manifest_record {
    uint64_t set;
    uint64_t kind;
    const char *media_type; /* of this manifest or index */
    const char *target;     /* digest */
    uint64_t target_size_bytes;
    const char *target_type;          /* media type */
    struct cl_manifest_layers layers; /* IMAGE: lowest first */
    const char *name;                 /* CHOICE of a layout: what its index calls it, if it does */
    uint64_t payload;                 /* IMAGE; not set: FILES */
    const char *title;                /* MODULE: what its file was called, if anybody says */
};

/* --- a config -------------------------------------------------------------- */

enum cl_config_field {
    CL_CONFIG_ARCHITECTURE,
    CL_CONFIG_OS,
    CL_CONFIG_VARIANT,
    CL_CONFIG_CREATED,
    CL_CONFIG_DIFF_IDS,
    CL_CONFIG_ENV,
    CL_CONFIG_ENTRYPOINT,
    CL_CONFIG_COMMAND,
    CL_CONFIG_WORKDIR,
    CL_CONFIG_USER,
    CL_CONFIG_STOP_SIGNAL,
    CL_CONFIG_LABELS,
    CL_CONFIG_FIELD_COUNT,
};

/* A field that the config lacks, or has as null or "", is not set. A label whose name holds "="
 * is left out: it could not be told from its value. Of a module's config there are the first four
 * and the digests of its layers, which are plain, in the place of diff_ids. */
struct cl_config_record {
    uint64_t set;
    const char *architecture;
    const char *os;
    const char *variant;
    const char *created; /* RFC 3339, as written */
    struct cl_strlist diff_ids;
    struct cl_strlist env; /* "NAME=value" */
    struct cl_strlist entrypoint;
    struct cl_strlist command;
    const char *workdir;
    const char *user;
    uint64_t stop_signal;
    struct cl_strlist labels; /* "KEY=value" */
};

/* --- what an archive holds ------------------------------------------------- */

/* A regular file of a tar archive, where its bytes lie in the archive. */
struct cl_archive_member {
    const char *name; /* without "./" before it */
    uint64_t offset_bytes;
    uint64_t size_bytes;
};

/* Sorted by name (strcmp), each name once. A link is there as the file that it names. */
struct cl_archive_members {
    const struct cl_archive_member *items;
    size_t count;
};

enum cl_archive_field { CL_ARCHIVE_MEMBERS, CL_ARCHIVE_FIELD_COUNT };

struct cl_archive_record {
    uint64_t set;
    struct cl_archive_members members;
};

/* One image of a `docker save`'s manifest.json, with the names of members: relative, without
 * "." and "..". */
enum cl_saved_field {
    CL_SAVED_CONFIG,
    CL_SAVED_LAYERS,
    CL_SAVED_TAGS,
    CL_SAVED_FIELD_COUNT,
};

struct cl_saved_record {
    uint64_t set;
    const char *config;
    struct cl_strlist layers;
    struct cl_strlist tags; /* "name:tag" */
};

/* --- credentials ----------------------------------------------------------- */

enum cl_auth_kind {
    CL_AUTH_NONE,     /* the files know nothing of this registry */
    CL_AUTH_BASIC,    /* user and secret */
    CL_AUTH_IDENTITY, /* secret is an identity (refresh) token */
    CL_AUTH_HELPER,   /* ask the program docker-credential-<helper> */
    CL_AUTH_KIND_COUNT,
};

enum cl_auth_field {
    CL_AUTH_KIND,
    CL_AUTH_USER,
    CL_AUTH_SECRET,
    CL_AUTH_HELPER_NAME,
    CL_AUTH_FIELD_COUNT,
};

struct cl_auth_record {
    uint64_t set;
    uint64_t kind;
    const char *user;
    const char *secret;
    const char *helper; /* [A-Za-z0-9._-]+ */
};

/* --- where registries are -------------------------------------------------- */

/* An entry of registries.yaml. */
struct cl_registry {
    const char *domain;  /* "docker.io", "registry.example:5000" */
    const char *mirrors; /* "https://HOST[:PORT]", asked first, in order; a newline after each */
    uint32_t plain_http; /* may be spoken to without TLS */
    const char *authority_file; /* PEM of certificate authorities; "" for the host's */
};

struct cl_registries {
    const struct cl_registry *items;
    size_t count;
};

enum cl_registries_field {
    CL_REGISTRIES_DEFAULT,
    CL_REGISTRIES_ENTRIES,
    CL_REGISTRIES_BUDGET,
    CL_REGISTRIES_FIELD_COUNT,
};

struct cl_registries_record {
    uint64_t set;
    const char *default_domain;
    struct cl_registries entries;
    uint64_t budget_bytes; /* the store's; not set: none */
};

/* --- what the store keeps -------------------------------------------------- */

enum cl_layer_field {
    CL_STORED_LAYER_CHAIN,
    CL_STORED_LAYER_DIFF,
    CL_STORED_LAYER_BLOB,
    CL_STORED_LAYER_SIZE,
    CL_STORED_LAYER_DISK,
    CL_STORED_LAYER_ENTRIES,
    CL_STORED_LAYER_HIDES,
    CL_STORED_LAYER_FIELD_COUNT,
};

struct cl_layer_record {
    uint64_t set;
    const char *chain;   /* chain ID */
    const char *diff_id; /* of the plain tar stream */
    const char *blob;    /* of the bytes that came */
    uint64_t size_bytes; /* of the bytes that came */
    uint64_t disk_bytes; /* what the unpacked tree takes */
    uint64_t entries;
    uint64_t hides_below; /* 1: nothing of the layers below it is to be seen */
};

enum cl_image_field {
    CL_STORED_IMAGE_DIGEST,
    CL_STORED_IMAGE_CONFIG,
    CL_STORED_IMAGE_MEDIA_TYPE,
    CL_STORED_IMAGE_CREATED,
    CL_STORED_IMAGE_PLATFORM,
    CL_STORED_IMAGE_PULLED,
    CL_STORED_IMAGE_LAYERS,
    CL_STORED_IMAGE_FIELD_COUNT,
};

/* What `images` and `inspect --image` tell; `run` reads the launch record alone. */
struct cl_image_record {
    uint64_t set;
    const char *digest; /* of the manifest */
    const char *config; /* digest */
    const char *media_type;
    const char *created;
    const char *platform;     /* "linux/amd64" */
    uint64_t pulled_s;        /* seconds since 1970 */
    struct cl_strlist layers; /* the layers' numbers, lowest first */
};

extern const struct cl_flat_shape cl_manifest_shape;
extern const struct cl_flat_shape cl_config_shape;
extern const struct cl_flat_shape cl_archive_shape;
extern const struct cl_flat_shape cl_saved_shape;
extern const struct cl_flat_shape cl_auth_shape;
extern const struct cl_flat_shape cl_registries_shape;
extern const struct cl_flat_shape cl_layer_shape;
extern const struct cl_flat_shape cl_image_shape;

#endif
