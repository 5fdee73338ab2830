#include "helpers/fetch/auth.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "helpers/common/base64.h"

enum { DOOR_CAP = 1 << 20 };
#define AVOIDED_NS (30 * CL_NS_PER_S)

enum door_kind {
    DOOR_UNKNOWN, /* nobody has asked for anything yet */
    DOOR_BASIC,
    DOOR_BEARER,
};

struct cl_door {
    struct cl_door *next;
    struct cl_net *net;
    struct cl_arena arena; /* for what follows */
    struct cl_fetch_endpoint endpoint;
    struct cl_url url;
    enum door_kind kind;
    char *basic; /* NULL: no user */
    struct cl_realm realm;
    char *service;
    struct cl_token *tokens;
    uint64_t avoided_until_ns;
    struct cl_error avoided_why;
};

struct cl_auth cl_auth_init(struct cl_net *net)
{
    return (struct cl_auth){.net = net};
}

static void wipe(const char *text)
{
    if (text != NULL)
        explicit_bzero(cl_unconst(text), strlen(text));
}

static void drop_tokens(struct cl_door *door)
{
    while (door->tokens != NULL) {
        struct cl_token *token = door->tokens;

        door->tokens = token->next;
        cl_token_free(token);
    }
}

static void door_free(struct cl_door *door)
{
    drop_tokens(door);
    wipe(door->endpoint.secret);
    wipe(door->endpoint.identity);
    wipe(door->basic);
    cl_url_done(&door->url);
    cl_url_done(&door->realm.url);
    free(door->service);
    cl_arena_done(&door->arena);
    free(door);
}

void cl_auth_done(struct cl_auth *auth)
{
    while (auth->doors != NULL) {
        struct cl_door *door = auth->doors;

        auth->doors = door->next;
        door_free(door);
    }
}

/* --- doors ----------------------------------------------------------------- */

static int is_for(const struct cl_door *door, const struct cl_fetch_endpoint *endpoint)
{
    const struct cl_fetch_endpoint *own = &door->endpoint;

    return strcmp(own->url, endpoint->url) == 0 && strcmp(own->user, endpoint->user) == 0 &&
           strcmp(own->secret, endpoint->secret) == 0 &&
           strcmp(own->identity, endpoint->identity) == 0 &&
           strcmp(own->authority, endpoint->authority) == 0;
}

/* RFC 7617: user and password as they are, joined by the first colon. */
static int make_basic(struct cl_door *door)
{
    static const char scheme[] = "Basic ";
    const struct cl_fetch_endpoint *endpoint = &door->endpoint;

    if (endpoint->user[0] == '\0')
        return 0;
    char *pair = cl_arena_printf(&door->arena, "%s:%s", endpoint->user, endpoint->secret);
    if (pair == NULL)
        return -ENOMEM;
    const size_t size = strlen(pair);
    const size_t prefix = sizeof(scheme) - 1;
    char *basic = cl_arena_alloc(&door->arena, prefix + CL_BASE64_SIZE(size) + 1);
    if (basic != NULL) {
        memcpy(basic, scheme, prefix);
        cl_base64_encode(pair, size, basic + prefix);
    }
    wipe(pair);
    door->basic = basic;
    return basic == NULL ? -ENOMEM : 0;
}

static int copy_endpoint(struct cl_door *door, const struct cl_fetch_endpoint *endpoint)
{
    struct cl_fetch_endpoint *own = &door->endpoint;

    own->url = cl_arena_strdup(&door->arena, endpoint->url);
    own->user = cl_arena_strdup(&door->arena, endpoint->user);
    own->secret = cl_arena_strdup(&door->arena, endpoint->secret);
    own->identity = cl_arena_strdup(&door->arena, endpoint->identity);
    own->authority = cl_arena_strdup(&door->arena, endpoint->authority);
    if (own->url == NULL || own->user == NULL || own->secret == NULL || own->identity == NULL ||
        own->authority == NULL)
        return -ENOMEM;
    return make_basic(door);
}

static int check_endpoint(const struct cl_fetch_endpoint *endpoint, const struct cl_url *url,
                          struct cl_error *err)
{
    const size_t size = strlen(url->text);
    const size_t start = url->tls ? 8 : 7; /* after "https://" */

    if (size > start && strcspn(url->text + start, "/?#") + start + 1 < size)
        return cl_refuse(err, EINVAL, "an endpoint is a scheme, a host and a port, not \"%.100s\"",
                         endpoint->url);
    if (strchr(endpoint->user, ':') != NULL)
        return cl_refuse(err, EINVAL, "the user's name for %s has a colon, which Basic can't carry",
                         url->place);
    return 0;
}

static int make_door(struct cl_auth *auth, const struct cl_fetch_endpoint *endpoint,
                     struct cl_door *door, struct cl_error *err)
{
    int r = cl_url_parse(endpoint->url, NULL, "an endpoint", &door->url, err);

    if (r == 0)
        r = check_endpoint(endpoint, &door->url, err);
    if (r < 0)
        return r;
    door->net = auth->net;
    return copy_endpoint(door, endpoint) < 0 ? cl_fail_memory(err) : 0;
}

int cl_auth_door(struct cl_auth *auth, const struct cl_fetch_endpoint *endpoint,
                 struct cl_door **ret, struct cl_error *err)
{
    struct cl_door *door = auth->doors;

    while (door != NULL && !is_for(door, endpoint))
        door = door->next;
    if (door == NULL) {
        door = cl_calloc(1, sizeof(*door));
        if (door == NULL)
            return cl_fail_memory(err);
        door->arena = CL_ARENA_INIT(DOOR_CAP);
        int r = make_door(auth, endpoint, door, err);
        if (r < 0) {
            door_free(door);
            return r;
        }
        door->next = auth->doors;
        auth->doors = door;
    }
    *ret = door;
    return 0;
}

const struct cl_url *cl_door_url(const struct cl_door *door)
{
    return &door->url;
}

const char *cl_door_authority(const struct cl_door *door)
{
    return door->endpoint.authority;
}

int cl_door_has_credentials(const struct cl_door *door)
{
    return door->basic != NULL || door->endpoint.identity[0] != '\0';
}

const char *cl_door_withheld_from(const struct cl_door *door)
{
    return door->kind == DOOR_BEARER && door->realm.withheld ? door->realm.url.place : NULL;
}

void cl_door_avoid(struct cl_door *door, const struct cl_error *why)
{
    door->avoided_until_ns = cl_clock_boot_ns() + AVOIDED_NS / door->net->waits.hurry;
    door->avoided_why = *why;
}

const struct cl_error *cl_door_avoided(const struct cl_door *door)
{
    return cl_clock_boot_ns() < door->avoided_until_ns ? &door->avoided_why : NULL;
}

/* --- grants ---------------------------------------------------------------- */

static struct cl_token *find_token(const struct cl_door *door, const char *scope)
{
    struct cl_token *token = door->tokens;

    while (token != NULL && strcmp(token->scope, scope) != 0)
        token = token->next;
    return token;
}

static int grant_token(struct cl_door *door, const char *scope, struct cl_token_wait *wait,
                       struct cl_grant *ret, struct cl_error *err)
{
    struct cl_token *token = find_token(door, scope);

    if (token == NULL) {
        token = cl_token_new(door->net, &door->realm, scope);
        if (token == NULL)
            return cl_fail_memory(err);
        token->next = door->tokens;
        door->tokens = token;
    }
    if (cl_token_is_good(token, cl_clock_boot_ns())) {
        *ret = (struct cl_grant){token->authorization, token->serial};
        return 1;
    }
    return cl_token_want(token, wait, err);
}

int cl_door_grant(struct cl_door *door, const char *scope, struct cl_token_wait *wait,
                  struct cl_grant *ret, struct cl_error *err)
{
    switch (door->kind) {
    case DOOR_BEARER:
        return grant_token(door, scope, wait, ret, err);
    case DOOR_BASIC:
        *ret = (struct cl_grant){door->basic, 0};
        return 1;
    case DOOR_UNKNOWN:
        break;
    }
    *ret = (struct cl_grant){NULL, 0};
    return 1;
}

/* --- challenges ------------------------------------------------------------ */

static int refuse_entry(const struct cl_door *door, struct cl_error *err)
{
    const char *place = door->url.place;

    if (cl_door_withheld_from(door) != NULL)
        return cl_refuse(err, EACCES,
                         "%s lets nobody in without credentials, and those for it were not sent to "
                         "%s, where it gives out tokens, as that is another's host",
                         place, cl_door_withheld_from(door));
    if (cl_door_has_credentials(door))
        return cl_refuse(err, EACCES,
                         "%s refuses the credentials for it; `cloister login %s` takes new ones",
                         place, place);
    return cl_refuse(err, EACCES,
                     "%s lets nobody in without credentials; `cloister login %s` takes them", place,
                     place);
}

static int learn_basic(struct cl_door *door, const struct cl_challenge_seen *seen,
                       struct cl_error *err)
{
    const int was_tried = door->kind == DOOR_BASIC && seen->had_authorization;

    door->kind = DOOR_BASIC;
    if (door->basic == NULL && door->endpoint.identity[0] != '\0')
        return cl_refuse(err, EACCES,
                         "%s wants a user's name and password, and there is an identity token; "
                         "`cloister login %s` takes others",
                         door->url.place, door->url.place);
    return was_tried || door->basic == NULL ? refuse_entry(door, err) : 0;
}

/* Tokens are of one realm and service; those under way end as they may. */
static int move_realm(struct cl_door *door, struct cl_url *url, const char *service)
{
    char *copy = strdup(service);

    if (copy == NULL)
        return -ENOMEM;
    for (struct cl_token *token = door->tokens; token != NULL; token = token->next)
        cl_token_forget(token);
    cl_url_done(&door->realm.url);
    door->realm.url = *url;
    url->text = NULL;
    free(door->service);
    door->service = copy;
    return 0;
}

static int set_realm(struct cl_door *door, struct cl_url *url, const char *service,
                     enum cl_reach reach)
{
    struct cl_realm *realm = &door->realm;
    const int known = door->kind == DOOR_BEARER && strcmp(realm->url.text, url->text) == 0 &&
                      strcmp(door->service, service) == 0;

    if (!known && move_realm(door, url, service) < 0)
        return -ENOMEM;
    const int may_know = cl_realm_may_know(&door->url, &realm->url);
    const struct cl_fetch_endpoint *own = &door->endpoint;
    realm->endpoint = door->url.place;
    realm->service = door->service;
    realm->user = may_know && door->basic != NULL ? own->user : "";
    realm->basic = may_know ? door->basic : NULL;
    realm->identity = may_know ? own->identity : "";
    realm->authority = own->authority;
    realm->withheld = !may_know && cl_door_has_credentials(door);
    realm->reach = reach;
    door->kind = DOOR_BEARER;
    return 0;
}

/* A token that was good once may have expired; one that never was will not be the next time. */
static int learn_bearer(struct cl_door *door, const struct cl_challenge *challenge,
                        const struct cl_challenge_seen *seen, struct cl_error *err)
{
    CL_CLEANUP_URL struct cl_url url = {0};
    int r = cl_url_parse(challenge->realm, NULL, "the realm of its tokens", &url, err);

    if (r < 0)
        return cl_prefix(err, "%s", door->url.place);
    struct cl_token *token = find_token(door, seen->scope);
    if (seen->serial != 0 && token != NULL && token->serial == seen->serial) {
        const int was_good = token->proven;

        cl_token_forget(token);
        if (!was_good) {
            (void)refuse_entry(door, err);
            return challenge->error == NULL ? -err->code
                                            : cl_hint(err, "it says %.60s", challenge->error);
        }
    }
    const char *service = challenge->service == NULL ? "" : challenge->service;
    return set_realm(door, &url, service, seen->reach) < 0 ? cl_fail_memory(err) : 0;
}

int cl_door_challenged(struct cl_door *door, const struct cl_challenge_seen *seen,
                       struct cl_error *err)
{
    const struct cl_challenge *challenge = cl_challenges_choose(&seen->head->challenges);

    if (challenge == NULL && seen->head->unreadable_challenge)
        return cl_refuse(err, EACCES, "%s wants credentials, but how can't be read",
                         door->url.place);
    if (challenge == NULL && seen->head->challenges.count > 0)
        return cl_refuse(err, EACCES, "%s wants credentials in a way that isn't known here (%.40s)",
                         door->url.place, seen->head->challenges.items[0].name);
    if (challenge == NULL)
        return refuse_entry(door, err);
    return challenge->scheme == CL_SCHEME_BEARER ? learn_bearer(door, challenge, seen, err)
                                                 : learn_basic(door, seen, err);
}

void cl_door_welcomed(struct cl_door *door, const char *scope, uint64_t serial)
{
    struct cl_token *token = serial == 0 ? NULL : find_token(door, scope);

    if (token != NULL && token->serial == serial)
        token->proven = 1;
}

uint64_t cl_auth_tick(struct cl_auth *auth, uint64_t now_ns)
{
    uint64_t next = UINT64_MAX;

    for (struct cl_door *door = auth->doors; door != NULL; door = door->next) {
        for (struct cl_token *token = door->tokens; token != NULL; token = token->next)
            next = cl_min_u64(next, cl_token_tick(token, now_ns));
    }
    return next;
}
