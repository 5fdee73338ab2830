#include "oci/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "oci/quote.h"

static const char prefix[] = "sha256:";

enum { PREFIX_SIZE = sizeof(prefix) - 1, HEX_DIGITS = CL_SHA256_HEX_SIZE - 1 };

_Static_assert(CL_DIGEST_TEXT_SIZE == PREFIX_SIZE + HEX_DIGITS + 1, "a text is prefix and digits");

static const char digits[] = "0123456789abcdef";

static int is_hex_digest(const char *text)
{
    return strspn(text, digits) == HEX_DIGITS && text[HEX_DIGITS] == '\0';
}

/* TEXT's first SIZE bytes are an algorithm, which isn't sha256. */
static int refuse_algorithm(const char *text, size_t size, struct cl_error *err)
{
    /* the others that the specification registers, and one that Docker has */
    static const char *const known[] = {"sha512", "sha384", "blake3"};
    char quoted[CL_QUOTE_SIZE];

    (void)cl_quote_part(text, size, quoted);
    for (size_t i = 0; i < CL_ARRAY_SIZE(known); i++) {
        if (strcmp(quoted, known[i]) == 0)
            return cl_refuse(err, ENOTSUP, "digests by %s are not supported, only those by sha256",
                             quoted);
    }
    if (strcasecmp(quoted, "sha256") == 0)
        return cl_refuse(err, EINVAL, "the digest begins with \"%s:\"; write sha256 in lower case",
                         quoted);
    return cl_refuse(err, ENOTSUP,
                     "\"%s\" is no algorithm of digests that is known here, only sha256 is",
                     quoted);
}

static int refuse_digits(const char *text, const char *hex, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];
    size_t good = strspn(hex, digits);

    (void)cl_quote(text, quoted);
    if (hex[good] == '\0')
        return cl_refuse(err, EINVAL, "the digest \"%s\" has %zu digits; sha256 has %d", quoted,
                         good, HEX_DIGITS);
    if (hex[good] >= 'A' && hex[good] <= 'F')
        return cl_refuse(err, EINVAL,
                         "the digest \"%s\" has capital letters; a digest has lower-case ones",
                         quoted);
    return cl_refuse(err, EINVAL,
                     "byte %zu of the digest \"%s\" is no hexadecimal digit; 64 of them follow "
                     "\"sha256:\"",
                     (size_t)(hex - text) + good + 1, quoted);
}

int cl_digest_parse(const char *text, struct cl_digest *ret, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];
    const char *colon = strchr(text, ':');

    if (colon == NULL && is_hex_digest(text))
        return cl_refuse(err, EINVAL, "the digest \"%s\" lacks \"sha256:\" before its digits",
                         cl_quote(text, quoted));
    if (colon == NULL || colon == text)
        return cl_refuse(err, EINVAL,
                         "\"%s\" is no digest, which is sha256: and 64 hexadecimal digits",
                         cl_quote(text, quoted));
    if (strncmp(text, prefix, PREFIX_SIZE) != 0)
        return refuse_algorithm(text, (size_t)(colon - text), err);

    const char *hex = text + PREFIX_SIZE;
    if (!is_hex_digest(hex))
        return refuse_digits(text, hex, err);
    memcpy(ret->hex, hex, sizeof(ret->hex));
    return 0;
}

const char *cl_digest_format(const struct cl_digest *digest, char ret[CL_DIGEST_TEXT_SIZE])
{
    (void)snprintf(ret, CL_DIGEST_TEXT_SIZE, "%s%.*s", prefix, HEX_DIGITS, digest->hex);
    return ret;
}

int cl_digest_equal(const struct cl_digest *a, const struct cl_digest *b)
{
    return memcmp(a->hex, b->hex, HEX_DIGITS) == 0;
}

void cl_digest_of(const void *data, size_t size, struct cl_digest *ret)
{
    struct cl_sha256 hash;

    cl_sha256_init(&hash);
    cl_sha256_add(&hash, data, size);
    cl_sha256_final_hex(&hash, ret->hex);
}

void cl_chain_id(const struct cl_digest *parent, const struct cl_digest *diff_id,
                 struct cl_digest *ret)
{
    char lower[CL_DIGEST_TEXT_SIZE];
    char upper[CL_DIGEST_TEXT_SIZE];
    char both[2 * CL_DIGEST_TEXT_SIZE];

    if (parent == NULL) {
        *ret = *diff_id;
        return;
    }
    int size = snprintf(both, sizeof(both), "%s %s", cl_digest_format(parent, lower),
                        cl_digest_format(diff_id, upper));
    cl_digest_of(both, (size_t)size, ret);
}

void cl_chain_id_of_module(const struct cl_digest *digest, struct cl_digest *ret)
{
    char text[CL_DIGEST_TEXT_SIZE];
    char whole[CL_DIGEST_TEXT_SIZE + sizeof("application/wasm ")];
    int size =
        snprintf(whole, sizeof(whole), "application/wasm %s", cl_digest_format(digest, text));

    cl_digest_of(whole, (size_t)size, ret);
}
