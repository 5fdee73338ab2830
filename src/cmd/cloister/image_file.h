/* image_file.h - files of a plan's image, where that is a tree: of a directory, or of the layers of
 * an image of the store, as the sandbox will see them. Links lead nowhere out of it.
 */
#ifndef CL_CMD_CLOISTER_IMAGE_FILE_H
#define CL_CMD_CLOISTER_IMAGE_FILE_H

#include "plan/plan.h"

/* The directory of the tree, or of the layers, O_PATH. */
int cl_image_file_root(const struct cl_plan *plan, struct cl_error *err);

/* What is at PATH, O_PATH, with all links followed; ROOT is from above. -errno without a message.
 */
int cl_image_file_find(const struct cl_plan *plan, int root, const char *path);

#endif
