/* launch.h - from an image's name to what the core needs to run it: the launch record.
 *
 * A launch record is a plan in its flat form (plan/format.h) that sets image_kind (STORE),
 * image_path (the store's `layers`), image_layers, image_digest and what the image's config
 * says: entrypoint, command, env, workdir, user; uid, gid and home (where the user could be
 * looked up); stop_signal; image_places (places.h); and image_module. Of an image that is one
 * WebAssembly module image_kind is MODULE, its layer holds CL_MODULE_FILE alone, and the entrypoint
 * is all that is said beside it. It lies in the store's refs/<hex>, <hex>
 * being the SHA-256 of the whole name (cl_reference_text); a hard link to launch/<digest>. So `run`
 * of an image that is there costs an open, a read and a lock.
 *
 * The descriptor holds a shared lock (F_OFD) on the record: as long as it is open, nobody
 * removes the image. Records are trusted as far as the plan's reader goes: the store is its
 * owner's.
 */
#ifndef CL_IMAGE_LAUNCH_H
#define CL_IMAGE_LAUNCH_H

#include "oci/reference.h"
#include "plan/plan.h"

/* Reads the launch record of REFERENCE from STORE (the directory's descriptor) into RET, whose
 * memory is ARENA's. Returns the locked descriptor, to be kept open as long as the image is
 * in use, or -ENOENT (without a message: the caller knows what to do about it), or -errno. */
int cl_launch_find(int store, const struct cl_reference *reference, struct cl_arena *arena,
                   struct cl_plan *ret, struct cl_error *err);

/* The same of the image whose manifest has DIGEST. */
int cl_launch_find_digest(int store, const struct cl_digest *digest, struct cl_arena *arena,
                          struct cl_plan *ret, struct cl_error *err);

#endif
