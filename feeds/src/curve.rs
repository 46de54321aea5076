//! CURVE: who may speak with whom, and encrypted. Keys are Z85 text of 40 characters; a pair is made by
//! `tickline keys new`. Whoever binds decides by a list of public keys whom it lets in (ZAP, RFC 27).

/// Characters of a key.
pub const KEY_CHARS: usize = 40;

/// Where libzmq asks whether a client may come in.
pub const ZAP_ENDPOINT: &str = "inproc://zeromq.zap.01";

/// The domain of every socket that we bind.
pub const ZAP_DOMAIN: &str = "tickline";

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CurveError {
    /// libzmq was built without it.
    #[error("libzmq was built without CURVE: build inside the repository, whose .cargo/config.toml adds it")]
    Missing,
    /// Not 40 characters of Z85.
    #[error("a key must be 40 characters of Z85, as tickline keys new writes them")]
    Key,
    /// libzmq refuses it.
    #[error(transparent)]
    Zmq(#[from] zmq::Error),
}

/// A secret key and what belongs to it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The public key, Z85.
    pub public: String,
    secret: String,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// A new pair.
    pub fn generate() -> Result<Self, CurveError> {
        require()?;
        let pair = zmq::CurveKeyPair::new()?;
        let text = |key: &[u8]| zmq::z85_encode(key).map_err(|_| CurveError::Key);
        Ok(Self { public: text(&pair.public_key)?, secret: text(&pair.secret_key)? })
    }

    /// The pair of a secret key.
    pub fn of_secret(secret: &str) -> Result<Self, CurveError> {
        require()?;
        check(secret)?;
        let decoded = zmq::z85_decode(secret).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
        let public = public_of(&decoded.ok_or(CurveError::Key)?);
        let public = zmq::z85_encode(&public).map_err(|_| CurveError::Key)?;
        Ok(Self { public, secret: secret.to_owned() })
    }

    /// The secret key, Z85, for the one file that it is written to.
    pub fn expose_secret(&self) -> &str {
        &self.secret
    }

    /// Makes a socket that connects speak with the owner of `server` only. Before it connects.
    pub fn connect_to(&self, socket: &zmq::Socket, server: &str) -> Result<(), CurveError> {
        check(server)?;
        socket.set_curve_serverkey(server.as_bytes())?;
        socket.set_curve_publickey(self.public.as_bytes())?;
        socket.set_curve_secretkey(self.secret.as_bytes())?;
        Ok(())
    }

    /// Makes a socket that binds take encrypted connections only. Before it binds.
    pub fn serve(&self, socket: &zmq::Socket) -> Result<(), CurveError> {
        socket.set_curve_server(true)?;
        socket.set_curve_publickey(self.public.as_bytes())?;
        socket.set_curve_secretkey(self.secret.as_bytes())?;
        socket.set_zap_domain(ZAP_DOMAIN)?;
        Ok(())
    }
}

/// The public key of a secret one, as zmq_curve_public(3) computes it, which the crate does not offer.
#[expect(unsafe_code, reason = "libsodium has a C interface only")]
fn public_of(secret: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    // SAFETY: both are arrays of 32 bytes (crypto_scalarmult_BYTES), which is what is read and written.
    unsafe { libsodium_sys::crypto_scalarmult_base(public.as_mut_ptr(), secret.as_ptr()) };
    public
}

fn require() -> Result<(), CurveError> {
    if crate::socket::has_curve() { Ok(()) } else { Err(CurveError::Missing) }
}

/// Whether a text is a key.
pub fn check(key: &str) -> Result<(), CurveError> {
    // libzmq reads some characters that are none of the alphabet.
    let known = |c: u8| c.is_ascii_alphanumeric() || b".-:+=^!/*?&<>()[]{}@%$#".contains(&c);
    let fits = key.len() == KEY_CHARS && key.bytes().all(known);
    if fits { Ok(()) } else { Err(CurveError::Key) }
}

/// The answer to one ZAP request: 200 for a client whose public key is in `allowed`, 400 for any other and for a
/// request of another form. `parts` are those of the request behind its empty delimiter, if it has one.
pub fn answer(parts: &[Vec<u8>], allowed: &[String]) -> [Vec<u8>; 6] {
    let part = |at: usize| parts.get(at).map(Vec::as_slice).unwrap_or_default();
    // Version, request id, domain, address, identity, mechanism, key.
    let known = part(0) == b"1.0" && part(2) == ZAP_DOMAIN.as_bytes() && part(5) == b"CURVE";
    let key = <[u8; 32]>::try_from(part(6)).ok().and_then(|key| zmq::z85_encode(&key).ok());
    let admitted = known && key.is_some_and(|key| allowed.contains(&key));
    let (code, text): (&[u8], &[u8]) =
        if admitted { (b"200", b"OK") } else { (b"400", b"key not on the list") };
    [b"1.0".to_vec(), part(1).to_vec(), code.to_vec(), text.to_vec(), Vec::new(), Vec::new()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_known_by_its_secret_key_and_never_shown() {
        let pair = KeyPair::generate().unwrap();
        let again = KeyPair::of_secret(pair.expose_secret()).unwrap();
        assert_eq!(pair.public, again.public);
        assert!(!format!("{pair:?}").contains(pair.expose_secret()));
        let long = "x".repeat(41);
        for bad in ["", "short", &pair.public[..39], "~234567890123456789012345678901234567890", &long] {
            assert!(KeyPair::of_secret(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_a_listed_key_in_our_domain_is_let_in() {
        let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let request = |version: &str, domain: &str, mechanism: &str, key: &KeyPair| -> Vec<Vec<u8>> {
            let key = zmq::z85_decode(&key.public).unwrap();
            let texts = [version, "7", domain, "127.0.0.1", "", mechanism];
            texts.iter().map(|text| text.as_bytes().to_vec()).chain([key]).collect()
        };
        let allowed = [own.public.clone()];
        let code = |parts: &[Vec<u8>]| String::from_utf8(answer(parts, &allowed)[2].clone()).unwrap();
        assert_eq!(code(&request("1.0", ZAP_DOMAIN, "CURVE", &own)), "200");
        assert_eq!(code(&request("1.0", ZAP_DOMAIN, "CURVE", &other)), "400");
        assert_eq!(code(&request("1.0", "other", "CURVE", &own)), "400");
        assert_eq!(code(&request("1.0", ZAP_DOMAIN, "PLAIN", &own)), "400");
        assert_eq!(code(&request("2.0", ZAP_DOMAIN, "CURVE", &own)), "400");
        assert_eq!(code(&[]), "400");
        assert_eq!(answer(&request("1.0", ZAP_DOMAIN, "CURVE", &own), &allowed)[1], b"7");
    }
}
