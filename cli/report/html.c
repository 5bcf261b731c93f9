/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/html.h"

#include <string.h>

#include "cli/text.h"

/* Colours of both themes; a verdict is told by its word as well, never by colour alone. */
static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--dim:#5b6570;--line:#d9dee3;"
	"--card:#f5f7f9;--link:#0b57d0;--blocked:#b3261e;--blocked-bg:#fdecea;"
	"--would-block:#855500;--would-block-bg:#fff4de;--unobserved:#6a1b9a;"
	"--unobserved-bg:#f5e9fb;--allowed:#1b6e3c;--allowed-bg:#e8f5ec}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--dim:#9aa5b1;"
	"--line:#2d333a;--card:#1c2126;--link:#8ab4f8;--blocked:#ff8a80;--blocked-bg:#3a1a18;"
	"--would-block:#ffc766;--would-block-bg:#38290d;--unobserved:#d9a6f2;"
	"--unobserved-bg:#2d1a36;--allowed:#8fd6a8;--allowed-bg:#15301f}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;padding:16px;max-width:1240px;background:var(--bg);color:var(--fg);"
	"font:15px/1.45 system-ui,sans-serif;overflow-wrap:break-word}\n"
	"h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.2rem;margin:0}"
	"h3{font-size:1rem;margin:1.4em 0 .4em}\n"
	"p{margin:.3em 0}a{color:var(--link)}code,.m{font:13px/1.45 ui-monospace,monospace}\n"
	".dim{color:var(--dim)}\n"
	"article{border:1px solid var(--line);border-radius:10px;padding:16px;margin:18px 0}\n"
	".sums{display:flex;flex-wrap:wrap;gap:8px;margin:10px 0}\n"
	".sums div{background:var(--card);border-radius:8px;padding:6px 12px;min-width:84px}\n"
	".sums b{display:block;font-size:1.25rem}\n"
	".v{display:inline-block;border-radius:5px;padding:0 7px;font-size:13px;"
	"white-space:nowrap}\n"
	".blocked{color:var(--blocked);background:var(--blocked-bg)}"
	".would-block{color:var(--would-block);background:var(--would-block-bg)}"
	".unobserved{color:var(--unobserved);background:var(--unobserved-bg)}"
	".allowed{color:var(--allowed);background:var(--allowed-bg)}\n"
	"table{border-collapse:collapse;width:100%}\n"
	"th,td{text-align:left;vertical-align:top;padding:5px 10px 5px 0;"
	"border-top:1px solid var(--line)}\n"
	"th{color:var(--dim);font-weight:500;font-size:13px;border-top:0}\n"
	"td.n{font-weight:600;min-width:11em}td.m{min-width:9em}td.r{min-width:11em}"
	"td.n,td.m,td.r,summary b{overflow-wrap:anywhere}.fact{display:inline-block;"
	"margin-right:14px;overflow-wrap:anywhere}\n"
	"details{border-top:1px solid var(--line);padding:6px 0}"
	"summary{cursor:pointer}summary b{margin-right:8px}\n"
	".lane{display:grid;grid-template-columns:minmax(0,280px) 1fr;gap:10px;"
	"align-items:center;margin:3px 0}\n"
	".lane span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}"
	".lane svg{width:100%;height:14px;background:var(--card);border-radius:4px;"
	"display:block}\n"
	".axis{display:flex;justify-content:space-between;margin-left:290px;font-size:12px}\n"
	".tree{background:var(--card);border-radius:8px;padding:8px 12px;"
	"overflow-wrap:anywhere}\n"
	".tree ul{list-style:none;margin:0;padding:0}.tree ul ul{margin-left:6px}"
	".tree li{position:relative;padding:2px 0 2px 18px}.tree>ul>li{padding-left:0}\n"
	".tree li li::before,.tree li li:not(:last-child)::after{content:\"\";position:absolute;"
	"left:0;top:0;width:12px;height:13px;border:0 solid var(--dim);opacity:.6;"
	"border-left-width:1px}.tree li li::before{border-bottom-width:1px}"
	".tree li li:not(:last-child)::after{height:100%;width:0}\n"
	"svg .f-blocked{fill:var(--blocked)}svg .f-would-block{fill:var(--would-block)}"
	"svg .f-unobserved{fill:var(--unobserved)}svg .f-allowed{fill:var(--allowed)}\n"
	"@media (max-width:700px){body{padding:10px}article{padding:12px}"
	"table,tbody,tr,td{display:block}thead{display:none}"
	"tr{border-top:1px solid var(--line);padding:6px 0}td{border:0;padding:1px 0}"
	"td.n,td.m,td.r{min-width:0}td.i{display:inline-block;margin-right:12px}"
	".tree li{padding-left:13px}.tree ul ul{margin-left:3px}"
	".tree li li::before{width:9px}.lane span{white-space:normal;overflow-wrap:anywhere}"
	"td[data-l]::before{content:attr(data-l) \" \";color:var(--dim);font-size:12px}"
	".lane{grid-template-columns:1fr;gap:2px;margin:8px 0}.axis{margin-left:0}}\n";

static void put_piece(FILE *out, const char *piece, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (piece[i]) {
		case '&':
			(void)fputs("&amp;", out);
			break;
		case '<':
			(void)fputs("&lt;", out);
			break;
		case '>':
			(void)fputs("&gt;", out);
			break;
		case '"':
			(void)fputs("&quot;", out);
			break;
		case '\'':
			(void)fputs("&#39;", out);
			break;
		default:
			(void)fputc(piece[i], out);
		}
	}
}

void df_html_text(FILE *out, const char *text, size_t max)
{
	struct df_text_reader r = df_text_begin(text ? text : "", text ? strlen(text) : 0, max);
	const char *piece;
	size_t len;

	while ((piece = df_text_next(&r, &len)))
		put_piece(out, piece, len);
}

void df_html_target(FILE *out, const struct df_row *row, size_t max)
{
	char text[DF_ROW_TARGET_MAX];

	df_row_target(row, text, sizeof(text));
	df_html_text(out, *text ? text : row->reason ? row->reason : "-", max);
}

void df_html_begin(FILE *out, const char *title)
{
	(void)fputs("<!DOCTYPE html>\n"
		    "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		    "style-src 'unsafe-inline'; img-src data:\">\n"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		    "<meta name=\"referrer\" content=\"no-referrer\">\n"
		    "<link rel=\"icon\" href=\"data:,\">\n<title>",
		    out);
	df_html_text(out, title, DF_TEXT_ALL);
	(void)fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
}

void df_html_end(FILE *out)
{
	(void)fputs("</body>\n</html>\n", out);
}
