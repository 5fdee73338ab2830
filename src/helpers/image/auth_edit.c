#include "helpers/image/auth_edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "helpers/common/base64.h"
#include "helpers/common/json_load.h"
#include "helpers/image/auth.h"

enum { PLAIN_MAX = 128 << 10 };

/* The document's object, or a new one. */
static int load(const struct cl_document *document, json_t **ret, struct cl_error *err)
{
    if (document->size == 0) {
        *ret = json_object();
        return *ret == NULL ? cl_fail_memory(err) : 0;
    }
    CL_CLEANUP_JSON json_t *root = NULL;
    int r = cl_json_load(document, CL_JSON_SECRET, &root, err);
    if (r < 0)
        return r;
    if (!json_is_object(root))
        return cl_refuse(err, EINVAL, "%s: expected an object", document->name);
    *ret = json_incref(root);
    return 0;
}

/* ROOT's "auths", which is made where it is missing (null counts as that); borrowed. */
static int auths_of(json_t *root, const char *name, json_t **ret, struct cl_error *err)
{
    json_t *auths = json_object_get(root, "auths");

    if (auths == NULL || json_is_null(auths)) {
        auths = json_object();
        if (auths == NULL || json_object_set_new(root, "auths", auths) < 0)
            return cl_fail_memory(err);
    }
    if (!json_is_object(auths))
        return cl_refuse(err, EINVAL, "%s: auths: expected an object", name);
    *ret = auths;
    return 0;
}

/* "auth" holds USER:SECRET; beside an identity token it is "<token>:", as Docker has it. */
static json_t *make_entry(const struct cl_auth_record *record)
{
    CL_CLEANUP_BUF struct cl_buf plain = CL_BUF_INIT(PLAIN_MAX);
    CL_CLEANUP_BUF struct cl_buf encoded = CL_BUF_INIT(2UL * PLAIN_MAX);
    const int is_identity = record->kind == CL_AUTH_IDENTITY;
    const char *user = is_identity ? "<token>" : record->user;
    const char *secret = is_identity ? "" : record->secret;

    if (cl_buf_printf(&plain, "%s:%s", user, secret) < 0 ||
        cl_buf_grow(&encoded, CL_BASE64_SIZE(plain.size)) < 0)
        return NULL;
    cl_base64_encode(plain.data, plain.size, encoded.data);
    if (is_identity)
        return json_pack("{s:s, s:s}", "auth", cl_buf_text(&encoded), "identitytoken",
                         record->secret);
    return json_pack("{s:s}", "auth", cl_buf_text(&encoded));
}

static int add_chunk(const char *data, size_t size, void *context)
{
    return cl_buf_add(context, data, size);
}

/* How many keys of AUTHS named REGISTRY, which go. */
static size_t drop(json_t *auths, const char *registry)
{
    const char *key;
    void *next;
    json_t *entry;
    size_t dropped = 0;

    json_object_foreach_safe(auths, next, key, entry)
    {
        if (cl_auth_names_registry(key, registry)) {
            (void)json_object_del(auths, key); /* it is there */
            dropped++;
        }
    }
    return dropped;
}

int cl_auth_edit(const struct cl_document *document, const char *registry,
                 const struct cl_auth_record *record, struct cl_buf *output, struct cl_error *err)
{
    CL_CLEANUP_JSON json_t *root = NULL;
    json_t *auths = NULL;
    int r = load(document, &root, err);

    if (r == 0)
        r = auths_of(root, document->name, &auths, err);
    if (r < 0)
        return r;
    if (record->kind == CL_AUTH_IDENTITY && !cl_utf8_is_valid(record->secret))
        return cl_refuse(err, EINVAL,
                         "%s: can't hold the identity token, which is no UTF-8; it was damaged on "
                         "its way, so get another",
                         document->name);
    const size_t dropped = drop(auths, registry);
    if (record->kind == CL_AUTH_NONE && dropped == 0)
        return 0;
    if (record->kind != CL_AUTH_NONE &&
        json_object_set_new(auths, registry, make_entry(record)) < 0)
        return cl_fail_memory(err);
    if (json_dump_callback(root, add_chunk, output, JSON_INDENT(2)) < 0)
        return cl_fail_memory(err);
    return cl_buf_add_str(output, "\n") < 0 ? cl_fail_memory(err) : 0;
}
