//! The HDUs that belong to the image of a frame, where a file has several detectors.

use super::error::FitsError;
use super::hdu::Hdu;
use super::reader::FitsFile;

/// Finds the HDUs that belong to one image.
pub(super) struct Companions<'a> {
    pub file: &'a FitsFile,
    pub image: &'a Hdu,
    /// EXTNAMEs that are never those of another image.
    pub names: &'a [&'a str],
}

impl<'a> Companions<'a> {
    /// Returns the HDU of this EXTNAME that belongs to the image.
    ///
    /// One alone belongs to one image. Of several images of one name, EXTVER pairs them (1 where it is absent, by the
    /// standard); elsewhere the first that stands between the image and the next one.
    ///
    /// # Errors
    /// [`FitsError::Invalid`] if neither decides.
    pub fn find(&self, name: &str) -> Result<Option<&'a Hdu>, FitsError> {
        let name_of_image = self.image.name();
        let images = if name_of_image.is_empty() { vec![self.image] } else { self.named(&name_of_image) };
        let found: Vec<&Hdu> = self.named(name).into_iter().filter(|hdu| hdu.index != self.image.index).collect();
        let [first, ..] = found[..] else { return Ok(None) };
        if images.len() <= 1 && found.len() == 1 {
            return Ok(Some(first));
        }
        let same = |hdus: &[&'a Hdu]| -> Vec<&'a Hdu> {
            hdus.iter().copied().filter(|hdu| version(hdu) == version(self.image)).collect()
        };
        if images.len() > 1 && same(&images).len() == 1 {
            match same(&found)[..] {
                [] => return Ok(None),
                [one] => return Ok(Some(one)),
                _ => {}
            }
        }
        let behind = self.file.hdus.iter().skip(self.image.index + 1);
        let own: Vec<&Hdu> = behind.take_while(|hdu| !self.is_other_image(hdu)).collect();
        let followed = found.iter().copied().find(|hdu| own.iter().any(|near| near.index == hdu.index));
        followed.map(Some).ok_or_else(|| {
            let labels: Vec<String> = found.iter().map(|hdu| hdu.label()).collect();
            let what = format!(
                "{} may belong to it or to another image: give an image and its {name} the same EXTVER, or let {name} follow its image",
                labels.join(", ")
            );
            self.file.invalid(self.image, what)
        })
    }

    /// Returns remarks on HDUs that share the name of a `used` one, and do not count.
    pub fn passed_over(&self, used: &[&Hdu]) -> Vec<String> {
        let is_used = |hdu: &Hdu| used.iter().any(|one| one.index == hdu.index);
        let note = |hdu: &Hdu| {
            let one = used.iter().find(|one| !hdu.name().is_empty() && one.name().eq_ignore_ascii_case(&hdu.name()))?;
            let (name, second, first) = (hdu.name(), hdu.label(), one.label());
            Some(format!("it has a second {name} in {second}, which does not count; {first} does"))
        };
        self.file.hdus.iter().filter(|hdu| !is_used(hdu)).filter_map(note).collect()
    }

    fn named(&self, name: &str) -> Vec<&'a Hdu> {
        self.file.hdus.iter().filter(|hdu| hdu.is_image() && hdu.name().eq_ignore_ascii_case(name)).collect()
    }

    /// Whether an HDU is another image, not a plane that belongs to one.
    fn is_other_image(&self, hdu: &Hdu) -> bool {
        let is_plane = self.names.iter().any(|name| hdu.name().eq_ignore_ascii_case(name));
        hdu.is_image() && hdu.naxes.len() == 2 && !is_plane
    }
}

/// Returns EXTVER, which is 1 where it is absent.
fn version(hdu: &Hdu) -> i64 {
    hdu.header.get_i64("EXTVER").unwrap_or(1)
}
