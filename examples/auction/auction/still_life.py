"""The demo's photos: each function paints one thing on a table."""

from .canvas import Canvas, arc

_WIDTH, _HEIGHT, _TABLE = 800, 600, 430


def _scene(wall: tuple[str, str], table: tuple[str, str]) -> Canvas:
    """A wall, a table, and light from the upper left."""
    canvas = Canvas(_WIDTH, _HEIGHT, *wall)
    for ring in range(22):
        canvas.ellipse(250, 150, 440 - 19 * ring, 345 - 15 * ring, "#ffffff", alpha=0.008)
    canvas.box(0, _TABLE, _WIDTH, _HEIGHT - _TABLE, 0, *table)
    canvas.box(0, _TABLE, _WIDTH, 3, 0, "#ffffff", alpha=0.25)
    return canvas


def lamp() -> bytes:
    """A brass desk lamp, lit."""
    c = _scene(("#28463f", "#1b322d"), ("#7a5534", "#4f351f"))
    for spread, alpha in ((1.0, 0.07), (0.78, 0.08), (0.55, 0.10)):
        reach = 330 * spread
        c.polygon([(300, 250), (420, 250), (360 + reach, 560), (360 - reach, 560)], "#ffdf8f", alpha=alpha)
    c.ellipse(360, 520, 250, 44, "#ffe6a8", alpha=0.22)
    c.shadow(505, 520, 150, 26)
    c.ellipse(500, 506, 110, 26, "#8f6a24", "#6a4c15")
    c.ellipse(500, 496, 110, 26, "#e5bd62", "#b98d36")
    c.line([(500, 492), (560, 330), (470, 190)], 15, "#c79a3f")
    c.line([(496, 490), (556, 330), (467, 192)], 4, "#f6dd9a", alpha=0.8)
    c.ellipse(560, 330, 17, 17, "#e9c56d", "#a67d2b")
    c.ellipse(360, 252, 62, 16, "#fff4cf")
    c.polygon([*arc(360, 245, 130, 105, 0.5, 1.0), (490, 252), (230, 252)], "#f0cd77", "#b0832e")
    c.polygon(arc(330, 225, 60, 70, 0.52, 0.72), "#fff2c4", alpha=0.5)
    c.ellipse(470, 190, 15, 15, "#e9c56d", "#a67d2b")
    return c.png()


def camera() -> bytes:
    """A rangefinder camera."""
    c = _scene(("#e6d8c3", "#cdb899"), ("#a9794c", "#7f5530"))
    c.shadow(400, 478, 300, 40)
    c.box(150, 210, 500, 260, 34, "#d9dcdd", "#9ea4a6")
    c.box(150, 272, 500, 150, 8, "#2f3134", "#1c1d1f")
    for x in range(160, 644, 11):
        c.line([(x, 280), (x, 414)], 2, "#3d4044", alpha=0.6)
    c.box(196, 180, 92, 36, 10, "#c3c8ca", "#8e9497")
    c.box(520, 186, 84, 30, 10, "#c3c8ca", "#8e9497")
    c.ellipse(345, 206, 26, 9, "#e2e5e6", "#a1a7a9")
    c.box(470, 222, 120, 40, 8, "#23262a", "#111214")
    c.box(480, 228, 60, 28, 5, "#6f93a8", "#2b4556")
    c.box(210, 226, 60, 32, 6, "#23262a", "#3e566a")
    c.ellipse(400, 345, 138, 138, "#c9cdcf", "#83898c")
    c.ellipse(400, 345, 122, 122, "#33363a", "#15171a")
    c.ellipse(400, 345, 98, 98, "#b9bec1", "#6d7376")
    c.ellipse(400, 345, 86, 86, "#1d2126", "#0b0d0f")
    c.ellipse(400, 345, 64, 64, "#2f4f77", "#1b1430")
    c.ellipse(400, 345, 40, 40, "#0f1a30", "#45306b")
    c.ellipse(374, 316, 22, 15, "#e9f4ff", alpha=0.75)
    c.ellipse(424, 376, 12, 8, "#d5c4ff", alpha=0.45)
    return c.png()


def guitar() -> bytes:
    """An acoustic guitar, lying on its side."""
    c = _scene(("#b9c7c4", "#93a6a2"), ("#5f4636", "#3d2c21"))
    c.shadow(330, 512, 300, 34)
    c.ellipse(210, 360, 168, 150, "#d98f3f", "#a65d1e")
    c.ellipse(400, 366, 128, 116, "#d68b3b", "#a35a1d")
    c.ellipse(210, 356, 152, 134, "#efb565", "#d18a3a")
    c.ellipse(400, 362, 112, 101, "#edb162", "#cf8738")
    c.box(236, 292, 140, 140, 30, "#eeb363", "#d08939")
    c.ellipse(345, 362, 58, 58, "#5e3413", "#3d200a")
    c.ellipse(345, 362, 50, 50, "#22130a", "#120903")
    c.box(132, 318, 24, 88, 6, "#3a2212", "#26160b")
    c.polygon([(345, 340), (700, 336), (700, 386), (345, 384)], "#4b2d18", "#341d0f")
    for x in range(410, 700, 32):
        c.line([(x, 340), (x, 384)], 2.4, "#d8c9a8")
    c.polygon([(698, 330), (784, 316), (790, 404), (698, 392)], "#5b3519", "#3b220f")
    for x in (718, 742, 766):
        c.ellipse(x, 314, 8, 11, "#e8e3d6", "#b5ae9d")
        c.ellipse(x, 406, 8, 11, "#e8e3d6", "#b5ae9d")
    for step in range(6):
        y = 345 + step * 7
        string = [(144, 330 + step * 13), (345, y), (700, y), (760, 334 + step * 11)]
        c.line(string, 1.6, "#f6efdc", alpha=0.85)
    return c.png()


def vase() -> bytes:
    """A blue vase with three stems."""
    c = _scene(("#f0ddcf", "#e2c3ad"), ("#c98f6a", "#a86f4c"))
    for x, y, lean in ((330, 110, -40), (410, 70, 6), (480, 130, 46)):
        c.line([(400 + lean * 0.2, 300), (400 + lean * 0.7, 220), (x, y)], 6, "#5d7a48")
        for turn in (-0.32, 0.02, 0.3):
            c.ellipse(x + 44 * turn * 2, y - 24 + abs(turn) * 46, 25, 33, "#f5f1e2", "#e4b7a0")
        c.ellipse(x, y + 2, 12, 10, "#d9a441", "#b97f22")
    c.shadow(430, 514, 170, 28)
    belly = arc(400, 420, 128, 102, -0.02, 0.52)
    c.polygon([*belly, (330, 300), (352, 262), (448, 262), (470, 300)], "#3f6fb0", "#16305f")
    c.ellipse(400, 262, 50, 12, "#5e8cca", "#27487f")
    c.ellipse(400, 262, 40, 8, "#14284d")
    c.polygon([(278, 404), (522, 404), (524, 430), (276, 430)], "#f3efe2", alpha=0.85)
    for x in range(292, 520, 26):
        c.polygon([(x, 427), (x + 12, 408), (x + 24, 427)], "#27487f")
    c.ellipse(340, 380, 18, 66, "#ffffff", alpha=0.22)
    return c.png()


def chair() -> bytes:
    """A reading chair in green."""
    c = _scene(("#efe6d2", "#dccfb2"), ("#b48a5c", "#8d6840"))
    c.shadow(400, 536, 240, 26)
    for x in (268, 520):
        c.polygon([(x, 470), (x + 18, 470), (x + 12, 540), (x + 4, 540)], "#6a4526", "#442a14")
    c.box(264, 96, 272, 330, 70, "#5f8f6c", "#38624a")
    c.box(284, 116, 232, 260, 54, "#74a481", "#4a7659")
    for x, y in ((345, 190), (400, 190), (455, 190), (372, 250), (428, 250)):
        c.ellipse(x, y, 6, 6, "#355a43")
    c.box(252, 346, 296, 96, 34, "#86b592", "#4f7f60")
    c.box(214, 270, 76, 214, 36, "#6c9c78", "#335a43")
    c.box(510, 270, 76, 214, 36, "#6c9c78", "#335a43")
    c.box(240, 424, 320, 62, 20, "#4d7c5d", "#2c4f3a")
    c.box(226, 282, 16, 150, 8, "#ffffff", alpha=0.14)
    return c.png()


def clock() -> bytes:
    """An alarm clock at ten past ten."""
    c = _scene(("#d8e2e6", "#b3c5cc"), ("#6d7f86", "#4c5b61"))
    c.shadow(405, 520, 190, 28)
    c.line([(300, 430), (256, 512)], 22, "#9a2f2b")
    c.line([(500, 430), (544, 512)], 22, "#9a2f2b")
    for x in (300, 500):
        c.ellipse(x, 158, 66, 52, "#e0bd6c", "#a97f31")
    c.line([(400, 96), (400, 150)], 12, "#8d8f92")
    c.box(370, 84, 60, 22, 11, "#c7cacc", "#8e9295")
    c.ellipse(400, 320, 182, 182, "#d9534b", "#8f2723")
    c.ellipse(400, 320, 150, 150, "#fdfaf1", "#e8e0cd")
    for hour in range(12):
        inner, outer = arc(400, 320, 118, 118, steps=12)[hour], arc(400, 320, 136, 136, steps=12)[hour]
        c.line([inner, outer], 7 if hour % 3 == 0 else 3.5, "#33302b")
    c.line([(400, 320), (336, 280)], 11, "#26231f")
    c.line([(400, 320), (488, 262)], 7, "#26231f")
    c.line([(412, 302), (360, 390)], 3, "#c9403a")
    c.ellipse(400, 320, 11, 11, "#c9403a", "#8f2723")
    c.polygon(arc(340, 250, 60, 44, 0.5, 0.78), "#ffffff", alpha=0.5)
    return c.png()


def books() -> bytes:
    """A pile of atlases."""
    c = _scene(("#3c3f52", "#2a2c3c"), ("#8c6644", "#5e412a"))
    c.shadow(405, 520, 270, 30)
    pile = (
        (160, 446, 480, "#a8433a", "#7d2b25"),
        (190, 376, 440, "#2f6f73", "#1d4a4d"),
        (172, 306, 420, "#d3a548", "#a67c2a"),
        (214, 240, 380, "#4b5a96", "#313d6c"),
    )
    for x, y, width, top, bottom in pile:
        c.box(x + 14, y + 9, width - 6, 48, 4, "#f3ead3", "#d8c9a3")
        for line in range(5):
            leaf = y + 16 + line * 8
            c.line([(x + 60, leaf), (x + width + 4, leaf)], 1.2, "#b5a57d", alpha=0.7)
        c.box(x, y, width, 12, 5, top, bottom)
        c.box(x, y + 54, width, 12, 5, top, bottom)
        c.box(x, y, 70, 66, 12, top, bottom)
        c.box(x + 16, y + 20, 38, 6, 3, "#f6e3a8", alpha=0.85)
        c.box(x + 16, y + 38, 38, 6, 3, "#f6e3a8", alpha=0.85)
    c.ellipse(420, 150, 78, 78, "#7fb2c9", "#345d83")
    c.polygon([(372, 112), (420, 96), (430, 138), (398, 168), (366, 150)], "#9fbf78", "#6f9450")
    c.polygon([(440, 150), (482, 132), (488, 176), (450, 204)], "#9fbf78", "#6f9450")
    c.ellipse(394, 118, 22, 14, "#ffffff", alpha=0.3)
    c.box(380, 228, 80, 12, 6, "#c59a45", "#8d6a24")
    return c.png()


def coffee_pot() -> bytes:
    """An enamel coffee pot."""
    c = _scene(("#f3c9a8", "#e2a47e"), ("#f4ead9", "#dcc9ab"))
    c.shadow(410, 516, 200, 26)
    c.line(arc(528, 360, 86, 96, -0.22, 0.22, 30), 24, "#20363b")
    c.polygon([(300, 330), (226, 236), (196, 226), (200, 252), (290, 420)], "#e8f0ee", "#9db7b4")
    c.polygon([(318, 230), (482, 230), (548, 500), (252, 500)], "#f4f8f6", "#a9c2be")
    c.ellipse(400, 500, 148, 24, "#8fa9a5", "#7b9793")
    c.ellipse(400, 230, 82, 20, "#20363b")
    c.ellipse(400, 222, 84, 22, "#f9fbfa", "#c9d8d5")
    c.ellipse(400, 192, 20, 20, "#2c474d", "#16272b")
    c.polygon([(306, 280), (494, 280), (500, 306), (300, 306)], "#2f7f86", "#1f5e64")
    c.polygon([(344, 240), (368, 240), (330, 490), (290, 490)], "#ffffff", alpha=0.45)
    for x, y, size in ((228, 170, 20), (206, 120, 26), (240, 70, 32)):
        c.ellipse(x, y, size, size * 1.2, "#ffffff", alpha=0.16)
    return c.png()


def painting() -> bytes:
    """A sailing boat, framed."""
    c = _scene(("#74533d", "#5a3f2d"), ("#2f2722", "#1f1915"))
    c.box(138, 68, 540, 420, 6, "#120d09", alpha=0.35)
    c.box(126, 54, 540, 420, 6, "#d8b25a", "#94702a")
    c.box(146, 74, 500, 380, 3, "#8b6722", "#c79d45")
    c.box(164, 92, 464, 344, 2, "#f7d9a6", "#eaa98a")
    c.ellipse(516, 210, 42, 42, "#fff3cf", "#ffdca1")
    c.polygon([(164, 300), (628, 300), (628, 436), (164, 436)], "#4f8a96", "#1f4d63")
    c.polygon([(164, 300), (262, 262), (352, 300)], "#7a8c8b", "#5f7374")
    for x, y, width in ((200, 330, 120), (470, 344, 110), (240, 400, 90), (500, 410, 80), (470, 316, 90)):
        c.line([(x, y), (x + width, y)], 4, "#f4e2bd", alpha=0.5)
    c.polygon([(290, 352), (482, 352), (448, 388), (318, 388)], "#7d2f24", "#511c15")
    c.line([(384, 132), (384, 352)], 6, "#47301d")
    c.polygon([(376, 140), (376, 340), (288, 340)], "#fffaf0", "#e5d6bf")
    c.polygon([(392, 160), (392, 340), (470, 340)], "#fff6e4", "#d9c3a4")
    c.polygon([(384, 124), (418, 132), (384, 142)], "#c0473c")
    return c.png()
