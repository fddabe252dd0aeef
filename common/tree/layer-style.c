#include "tree/layer.h"

#include "base/num.h"
#include "base/timestamp.h"

#include <string.h>

enum { ID_MAX = INT32_MAX };

void layer_style_init(struct layer_style *s)
{
	*s = (struct layer_style){
	    .mtime = timestamp_default(), .uname = "root", .gname = "root"};
}

bool layer_style_option(struct layer_style *s, int key, const char *value)
{
	switch (key) {
	case LAYER_OPT_MTIME:
		s->mtime = timestamp_option("mtime", value);
		return true;
	case LAYER_OPT_UNAME:
		s->uname = value;
		return true;
	case LAYER_OPT_GNAME:
		s->gname = value;
		return true;
	default:
		return false;
	}
}

int layer_style_owner(struct layer_style *s, const char *value)
{
	const char *colon = strchr(value, ':');

	if (colon == NULL)
		return -1;
	if (num_parse(value, (size_t)(colon - value), ID_MAX, &s->uid) < 0)
		return -1;
	return num_parse(colon + 1, strlen(colon + 1), ID_MAX, &s->gid);
}
