"""A small writer of SVG bar charts: no library, a light ground, every bar labelled."""

from xml.sax.saxutils import escape

INK, MUTED, GRID, GROUND = "#22262b", "#66707a", "#e3e6e9", "#fcfcfb"
COLOURS = {"ours": "#2368a2", "floor": "#8fb8d8", "other": "#b9bec4", "layer": "#d98c3f"}
WIDTH, LEFT, RIGHT, ROW, BAR = 900, 270, 110, 22, 14


class Chart:
    """Panels of horizontal bars, one below the other."""

    def __init__(self, title, subtitle):
        self.parts, self.y = [], 0
        self._text(20, 34, title, size=18, weight="600")
        self._text(20, 54, subtitle, size=12, colour=MUTED)
        self.y = 74

    def _text(self, x, y, text, size=12, colour=INK, anchor="start", weight="400"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
                          f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>')

    def _grid(self, top, rows, top_value, unit):
        scale = (WIDTH - LEFT - RIGHT) / top_value
        step = tick_step(top_value)
        bottom = top + rows * ROW
        value = 0.0
        while value <= top_value * 1.0001:
            x = LEFT + value * scale
            self.parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="{GRID}"/>')
            self._text(x, bottom + 15, f"{value:g}", size=11, colour=MUTED, anchor="middle")
            value += step
        self._text(WIDTH - 20, bottom + 15, unit, size=11, colour=MUTED, anchor="end")
        return scale

    def panel(self, heading, bars, unit):
        """BARS: (label, start, end, colour name, text at the end), values in UNIT from 0."""
        if not bars:
            return
        self.y += 24
        self._text(20, self.y, heading, size=14, weight="600")
        top = self.y + 10
        scale = self._grid(top, len(bars), max(max(bar[2] for bar in bars), 1e-9), unit)
        for index, (label, start, end, colour, note) in enumerate(bars):
            y = top + index * ROW
            low, high = sorted((max(start, 0), max(end, 0)))
            self._text(LEFT - 8, y + 15, label, anchor="end")
            self.parts.append(f'<rect x="{LEFT + low * scale:.1f}" y="{y + 4}" rx="2" '
                              f'width="{max((high - low) * scale, 1):.1f}" height="{BAR}" '
                              f'fill="{COLOURS[colour]}"><title>{escape(label)}: {escape(note)}</title></rect>')
            self._text(LEFT + high * scale + 6, y + 15, note, size=11, colour=MUTED)
        self.y = top + len(bars) * ROW + 24

    def render(self):
        height = self.y + 16
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                f'height="{height}" font-family="system-ui, sans-serif">\n'
                f'<rect width="{WIDTH}" height="{height}" fill="{GROUND}"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def tick_step(top_value):
    """A round step that gives four to ten ticks."""
    step = 1e-6
    while True:
        for factor in (1, 2, 5):
            if top_value / (step * factor) <= 9:
                return step * factor
        step *= 10
