//! Small pictures inside of pages. They say nothing that the words beside them do not.

/// SVG, ready for templates.
#[derive(Clone, Copy, Debug)]
pub struct Icons {
    pub lock: &'static str,
    pub cart: &'static str,
    pub check: &'static str,
    pub clock: &'static str,
    pub cross: &'static str,
}

macro_rules! icon {
    ($paths:literal) => {
        concat!(
            "<svg class=\"icon\" viewBox=\"0 0 24 24\" width=\"20\" height=\"20\" fill=\"none\" ",
            "stroke=\"currentColor\" stroke-width=\"2\" stroke-linecap=\"round\" ",
            "stroke-linejoin=\"round\" aria-hidden=\"true\">",
            $paths,
            "</svg>"
        )
    };
}

pub const ICONS: Icons = Icons {
    lock: icon!(
        "<rect x=\"5\" y=\"11\" width=\"14\" height=\"9\" rx=\"2\"/><path d=\"M8 11V8a4 4 0 0 1 8 0v3\"/>"
    ),
    cart: icon!(
        "<path d=\"M3 4h2.5l2.3 11h10l2-8H6.3\"/><circle cx=\"9\" cy=\"19.5\" r=\"1\"/><circle cx=\"17\" cy=\"19.5\" r=\"1\"/>"
    ),
    check: icon!("<path d=\"M5 12.5l4.5 4.5L19 7.5\"/>"),
    clock: icon!("<circle cx=\"12\" cy=\"12\" r=\"8.5\"/><path d=\"M12 7.5V12l3 2\"/>"),
    cross: icon!("<path d=\"M7 7l10 10M17 7L7 17\"/>"),
};
