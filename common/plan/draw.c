#include "plan/draw.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/utf8.h"
#include "plan/cost.h"
#include "store/graph.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	WIDTH = 960,
	TOP = 100,
	ROW = 16,
	LABEL = 300,
	RIGHT = 150,
	BOTTOM = 34,
	CHAIN = 3
};

/* Adds a size in decimal units with two or three digits, such as "1.2 MB". */
static void add_size(struct buf *out, double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t unit = 0;

	for (; bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
		bytes /= 1000;
	buf_addf(out, bytes >= 99.5 || unit == 0 ? "%.0f %s" : "%.1f %s", bytes,
		 units[unit]);
}

static void add_escaped(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '&' || c == '<' || c == '>' || c == '"')
			buf_addf(out, "&#%d;", c);
		else
			buf_addch(out, c < ' ' || c == 127 ? '?' : (char)c);
	}
}

/* Adds the name of a store path, truncated if it is long. */
static void add_name(struct buf *out, const char *path)
{
	enum { CHARS_MAX = 34 };
	const char *name = store_name(path);
	size_t len = 0, chars = 0;

	while (name[len] != '\0') {
		bool starts = ((unsigned char)name[len] & 0xc0) != 0x80;
		if (starts && chars++ == CHARS_MAX)
			break;
		len++;
	}
	add_escaped(out, name, len);
	if (name[len] != '\0')
		buf_addstr(out, "\xe2\x80\xa6");
}

/*
 * Adds a color from blue at 0 to orange red at 1. The color changes quickly at first,
 * because most probabilities are small.
 */
static void add_colour(struct buf *out, double chance)
{
	static const int calm[3] = {52, 120, 190}, hot[3] = {214, 64, 20};
	double calmness = chance < 1 ? (1 - chance) * (1 - chance) : 0,
	       at = 1 - calmness * calmness;

	buf_addstr(out, "#");
	for (int i = 0; i < 3; i++)
		buf_addf(out, "%02x", (unsigned)(calm[i] + (hot[i] - calm[i]) * at));
}

static void add_text(struct buf *out, int x, int y, const char *anchor, const char *class)
{
	buf_addf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" class=\"%s\">", x, y,
		 anchor, class);
}

static void add_head(struct buf *out, const struct cost *c, int height)
{
	buf_addf(out,
		 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
		 "width=\"%d\" height=\"%d\">\n"
		 "<style>text{font:11px sans-serif;fill:#333}.h{font-size:17px;fill:#111}"
		 ".s{fill:#666}</style>\n"
		 "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
		 WIDTH, height, WIDTH, height, WIDTH, height);
	add_text(out, 16, 28, "start", "h");
	add_size(out, (double)c->size);
	buf_addf(out, " in %zu layers; an update re-sends ", c->n);
	add_size(out, c->mean);
	buf_addstr(out, " on average</text>\n");
	add_text(out, 16, 48, "start", "s");
	buf_addstr(out, "With a layer for each path it would be ");
	add_size(out, c->bound);
	buf_addstr(out, "; the worst update re-sends ");
	add_size(out, (double)c->worst);
	buf_addstr(out, ".</text>\n");
	add_text(out, 16, 64, "start", "s");
	buf_addstr(out,
		   "With all layers above the lowest changed one, an update re-sends ");
	add_size(out, c->chain);
	buf_addstr(out, ".</text>\n");
	add_text(out, LABEL, TOP - 10, "start", "s");
	buf_addstr(out, "bar: bytes of the layer; dark: those that an average update "
			"re-sends; grey: with all layers above</text>\n");
	add_text(out, WIDTH - 12, TOP - 10, "end", "s");
	buf_addstr(out, "size, chance</text>\n");
}

static void add_layer(struct buf *out, const struct cost_layer *l, const struct graph *g,
		      double scale, int y)
{
	double width = (double)l->size * scale;

	buf_addstr(out, "<g><title>");
	add_escaped(out, g->paths.name[l->main], strlen(g->paths.name[l->main]));
	buf_addf(out, "%s</title>", l->n > 1 ? " and others" : "");
	add_text(out, LABEL - 8, y + 11, "end", "l");
	add_name(out, g->paths.name[l->main]);
	if (l->n > 1)
		buf_addf(out, " +%zu", l->n - 1);
	buf_addstr(out, "</text>");
	for (int dark = 0; dark < 2; dark++) {
		double w = dark ? width * l->chance : width;
		buf_addf(out,
			 "<rect x=\"%d\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"",
			 LABEL, y + 2, w < 0.5 ? 0.5 : w, ROW - 4 - CHAIN);
		add_colour(out, l->chance);
		buf_addf(out, "\"%s/>", dark ? "" : " opacity=\"0.35\"");
	}
	double sent = width * l->chain;
	buf_addf(out,
		 "<rect x=\"%d\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"#444\"/>",
		 LABEL, y + ROW - 4, sent < 0.5 ? 0.5 : sent, CHAIN);
	add_text(out, WIDTH - 12, y + 11, "end", "s");
	add_size(out, (double)l->size);
	buf_addf(out, ", %.1f%%</text></g>\n", l->chance * 100);
}

int draw_cost(const struct cost *c, const struct graph *g, struct buf *out, struct err *e)
{
	uint64_t largest = 1;
	int y = TOP;

	for (size_t i = 0; i < c->n; i++) {
		const char *path = g->paths.name[c->layer[i].main];
		if (!utf8_is_valid(path, strlen(path)))
			return err_set(e, "%s is not UTF-8", path);
		if (c->layer[i].size > largest)
			largest = c->layer[i].size;
	}
	add_head(out, c, TOP + (int)c->n * ROW + BOTTOM);
	for (size_t i = 0; i < c->n; i++, y += ROW)
		add_layer(out, &c->layer[i], g, (WIDTH - LABEL - RIGHT) / (double)largest,
			  y);
	add_text(out, LABEL, y + 20, "start", "s");
	buf_addstr(out,
		   "blue: few updates change the layer; red: nearly all do</text>\n");
	buf_addstr(out, "</svg>\n");
	return 0;
}
