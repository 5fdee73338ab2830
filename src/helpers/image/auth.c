#include "helpers/image/auth.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "helpers/common/base64.h"
#include "helpers/common/json_decode.h"
#include "oci/quote.h"

enum { SECRET_MAX = 65536, NAME_MAX_BYTES = 255 };

/* --- the shapes -------------------------------------------------------------------- */

struct login {
    const char *key; /* the registry, as it is written */
    const char *auth;
    const char *username;
    const char *password;
    const char *identity_token;
    const char *registry_token;
};

struct auth_doc {
    struct cl_decode_list auths;        /* struct login */
    struct cl_decode_list cred_helpers; /* struct cl_decode_pair: registry, helper */
    const char *creds_store;
};

struct answer {
    const char *username;
    const char *secret;
};

#define THIS login
static const struct cl_decode_field login_fields[] = {
    CL_DECODE_ROW("auth", TEXT, auth, SECRET_MAX),
    CL_DECODE_ROW("username", TEXT, username, SECRET_MAX),
    CL_DECODE_ROW("password", TEXT, password, SECRET_MAX),
    CL_DECODE_ROW("identitytoken", TEXT, identity_token, SECRET_MAX),
    CL_DECODE_ROW("registrytoken", TEXT, registry_token, SECRET_MAX),
};
static const struct cl_decode_shape login_shape = CL_DECODE_SHAPE(login_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS auth_doc
static const struct cl_decode_field auth_fields[] = {
    CL_DECODE_ROW_OF("auths", MAP, auths, UINT64_MAX, &login_shape),
    CL_DECODE_ROW("credHelpers", PAIRS, cred_helpers, UINT64_MAX),
    CL_DECODE_ROW("credsStore", TEXT, creds_store, NAME_MAX_BYTES),
};
static const struct cl_decode_shape auth_shape =
    CL_DECODE_SHAPE(auth_fields, CL_DECODE_OPEN | CL_DECODE_SECRET);
#undef THIS

#define THIS answer
static const struct cl_decode_field answer_fields[] = {
    CL_DECODE_ROW("Username", TEXT, username, SECRET_MAX),
    CL_DECODE_ROW("Secret", TEXT, secret, SECRET_MAX),
};
static const struct cl_decode_shape answer_shape =
    CL_DECODE_SHAPE(answer_fields, CL_DECODE_OPEN | CL_DECODE_SECRET);
#undef THIS

/* --- which entry is meant --------------------------------------------------------------- */

/* A registry's host, with its port, and the path after it, "" or "/team/app". */
struct place {
    const char *host;
    size_t host_size;
    const char *path;
};

/* Keys are hosts, URLs (whose path is of an API: "https://index.docker.io/v1/"), or hosts with
 * the path of a namespace. */
static struct place place_of(const char *text)
{
    static const char *const schemes[] = {"https://", "http://"};
    struct place place = {.host = text};
    int is_url = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(schemes); i++) {
        if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0) {
            place.host = text + strlen(schemes[i]);
            is_url = 1;
        }
    }
    place.host_size = strcspn(place.host, "/");
    place.path = place.host + place.host_size;
    if (is_url || strcmp(place.path, "/") == 0 || strcmp(place.path, "/v1/") == 0 ||
        strcmp(place.path, "/v2/") == 0)
        place.path = "";
    return place;
}

static int is_docker_hub(const struct place *place)
{
    static const char *const names[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        if (place->host_size == strlen(names[i]) &&
            strncasecmp(place->host, names[i], place->host_size) == 0)
            return 1;
    }
    return 0;
}

/* How much of WANTED's path KEY names, and -1 when it is another registry or namespace. */
static int match(const char *key, const struct place *wanted)
{
    const struct place place = place_of(key);
    size_t size = strlen(place.path);
    int is_host = (place.host_size == wanted->host_size &&
                   strncasecmp(place.host, wanted->host, place.host_size) == 0) ||
                  (is_docker_hub(&place) && is_docker_hub(wanted));

    if (!is_host || size > NAME_MAX_BYTES || strncmp(wanted->path, place.path, size) != 0 ||
        (wanted->path[size] != '/' && wanted->path[size] != '\0'))
        return -1;
    return (int)size;
}

int cl_auth_names_registry(const char *key, const char *registry)
{
    const struct place place = place_of(registry);
    const struct place whole = {place.host, place.host_size, ""};

    return match(key, &whole) == 0;
}

/* --- helpers ----------------------------------------------------------------------------- */

/* It becomes a part of a program's name. */
static int take_helper(const char *name, struct cl_auth_record *ret, struct cl_error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    char quoted[CL_QUOTE_SIZE];

    if (name[strspn(name, letters)] != '\0' || strlen(name) > NAME_MAX_BYTES)
        return cl_refuse(err, EINVAL,
                         "\"%s\" is no helper's name, which has letters, digits, \".\", \"_\" "
                         "and \"-\"",
                         cl_quote(name, quoted));
    *ret = (struct cl_auth_record){
        .set = CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_HELPER_NAME),
        .kind = CL_AUTH_HELPER,
        .helper = name,
    };
    return 0;
}

/* The helper that is named for WANTED; "" says that there is to be none; NULL. */
static const char *find_helper(const struct auth_doc *doc, const struct place *wanted)
{
    const struct cl_decode_pair *pairs = doc->cred_helpers.items;
    const char *found = NULL;
    int best = -1;

    for (size_t i = 0; i < doc->cred_helpers.count; i++) {
        int how = match(pairs[i].key, wanted);

        if (how > best) {
            best = how;
            found = pairs[i].value;
        }
    }
    return found;
}

/* --- entries ------------------------------------------------------------------------------- */

static int take_basic(const char *user, const char *secret, struct cl_auth_record *ret,
                      struct cl_error *err)
{
    if (user[0] == '\0')
        return cl_refuse(err, EINVAL, "no user before the password");
    if (strchr(user, ':') != NULL)
        return cl_refuse(err, EINVAL, "a user's name can't hold \":\"");
    *ret = (struct cl_auth_record){
        .set = CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_USER) |
               CL_RECORD_BIT(CL_AUTH_SECRET),
        .kind = CL_AUTH_BASIC,
        .user = user,
        .secret = secret,
    };
    return 0;
}

static void take_identity(const char *token, struct cl_auth_record *ret)
{
    *ret = (struct cl_auth_record){
        .set = CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_SECRET),
        .kind = CL_AUTH_IDENTITY,
        .secret = token,
    };
}

/* USER:PASSWORD; NULs after it are padding that Docker once wrote. */
static int take_encoded(const char *text, struct cl_arena *arena, struct cl_auth_record *ret,
                        struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf plain = CL_BUF_INIT(SECRET_MAX);
    int r = cl_base64_decode(text, &plain);

    if (r == -ENOMEM)
        return cl_fail_memory(err);
    if (r < 0)
        return cl_refuse(err, EINVAL, "auth: not base64");
    while (plain.size > 0 && plain.data[plain.size - 1] == '\0')
        plain.size--;
    char *user = cl_arena_strndup(arena, cl_buf_text(&plain), plain.size);
    if (user == NULL)
        return cl_fail_memory(err);
    char *colon = strchr(user, ':');
    if (strlen(user) != plain.size || colon == NULL)
        return cl_refuse(err, EINVAL, "auth: expected USER:PASSWORD in base64");
    *colon = '\0';
    r = take_basic(user, colon + 1, ret, err);
    return r < 0 ? cl_prefix(err, "auth") : 0;
}

static int has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Docker leaves an empty entry behind where a helper has the secret. */
static int has_credentials(const struct login *login)
{
    return has_text(login->auth) || has_text(login->username) || has_text(login->password) ||
           has_text(login->identity_token) || has_text(login->registry_token);
}

static int take_login(const struct login *login, struct cl_arena *arena, struct cl_auth_record *ret,
                      struct cl_error *err)
{
    if (has_text(login->identity_token)) {
        take_identity(login->identity_token, ret);
        return 0;
    }
    if (has_text(login->auth))
        return take_encoded(login->auth, arena, ret, err);
    if (has_text(login->username) || has_text(login->password))
        return take_basic(login->username == NULL ? "" : login->username,
                          login->password == NULL ? "" : login->password, ret, err);
    return cl_refuse(err, ENOTSUP, "registrytoken: not supported; log in again");
}

static const struct login *find_login(const struct auth_doc *doc, const struct place *wanted)
{
    const struct login *logins = doc->auths.items;
    const struct login *found = NULL;
    int best = -1;

    for (size_t i = 0; i < doc->auths.count; i++) {
        int how = has_credentials(&logins[i]) ? match(logins[i].key, wanted) : -1;

        if (how > best) {
            best = how;
            found = &logins[i];
        }
    }
    return found;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int take_doc(const struct auth_doc *doc, const char *where, struct cl_arena *arena,
                    struct cl_auth_record *ret, struct cl_error *err)
{
    const struct place wanted = place_of(where);
    const char *helper = find_helper(doc, &wanted);
    const struct login *login = find_login(doc, &wanted);
    char quoted[CL_QUOTE_SIZE];

    if (has_text(helper))
        return take_helper(helper, ret, err) < 0 ? cl_prefix(err, "credHelpers") : 0;
    if (login != NULL)
        return take_login(login, arena, ret, err) < 0
                   ? cl_prefix(err, "auths.%s", cl_quote(login->key, quoted))
                   : 0;
    if (helper == NULL && has_text(doc->creds_store))
        return take_helper(doc->creds_store, ret, err) < 0 ? cl_prefix(err, "credsStore") : 0;
    *ret = (struct cl_auth_record){.set = CL_RECORD_BIT(CL_AUTH_KIND), .kind = CL_AUTH_NONE};
    return 0;
}

int cl_auth_find(const struct cl_document *document, const char *where, struct cl_arena *arena,
                 struct cl_auth_record *ret, struct cl_error *err)
{
    struct auth_doc doc = {.creds_store = NULL};
    int r = document->size == 0 ? 0 : cl_decode(&auth_shape, document, arena, &doc, err);

    if (r < 0)
        return r;
    r = take_doc(&doc, where, arena, ret, err);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}

int cl_auth_take_answer(const struct cl_document *document, struct cl_arena *arena,
                        struct cl_auth_record *ret, struct cl_error *err)
{
    struct answer answer = {.username = NULL};
    int r = cl_decode(&answer_shape, document, arena, &answer, err);

    if (r < 0)
        return r;
    if (!has_text(answer.secret))
        r = cl_refuse(err, EINVAL, "Secret is missing");
    else if (answer.username != NULL && strcmp(answer.username, "<token>") == 0)
        take_identity(answer.secret, ret);
    else
        r = take_basic(answer.username == NULL ? "" : answer.username, answer.secret, ret, err);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}
