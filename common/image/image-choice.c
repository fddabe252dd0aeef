#include "image/image.h"

#include "base/num.h"

void image_choice_init(struct image_choice *c)
{
	*c = (struct image_choice){.os = "linux"};
	platform_host(&c->platform);
}

bool image_choice_option(struct image_choice *c, int key, const char *value)
{
	switch (key) {
	case IMAGE_OPT_FROM:
		c->from = value;
		return true;
	case IMAGE_OPT_NAME:
		c->name = value;
		return true;
	case IMAGE_OPT_TAG:
		c->tag = value;
		return true;
	case IMAGE_OPT_ARCH:
		platform_arch_option(&c->platform, value);
		c->has_arch = true;
		return true;
	case IMAGE_OPT_OS:
		c->os = platform_os_option(value);
		c->has_os = true;
		return true;
	case IMAGE_OPT_MAX_UNPACKED:
		unpack_limit(num_size_option("max-unpacked", value));
		return true;
	default:
		return false;
	}
}

bool image_choice_is_empty(const struct image_choice *c)
{
	return c->name == NULL && c->tag == NULL && !c->has_arch && !c->has_os;
}
