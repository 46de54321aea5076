# tickline alone: no shell, no package manager, no root. Built from what .dockerignore lets in; the network is needed for
# that alone.

# Debian 12 in both stages: the binary needs its glibc (2.34 or later) and libstdc++ (libzmq is C++).
FROM rust:1.95.0-bookworm AS build
# rust-toolchain.toml asks for rustfmt and clippy, too, which the image would have to download.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
# Names of functions stay for backtraces; line tables are five sixths of the file. Kept caches are not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release -p tickline --bin tickline && \
    install -D target/release/tickline /out/usr/bin/tickline && \
    strip --strip-debug /out/usr/bin/tickline && \
    install -D -m 644 -t /out/usr/share/doc/tickline LICENSE THIRD-PARTY-NOTICES && \
    install -d -m 700 /state/tickline

# libc, libstdc++, libgcc, certificates of authorities, time zones; user 65532. It has no tags of versions.
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
LABEL org.opencontainers.image.title="tickline" \
      org.opencontainers.image.description="Market ticks off ZeroMQ into a time-series database" \
      org.opencontainers.image.source="https://github.com/tickline/tickline" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
# The folder above it is there, so only it gets this owner; a new volume takes owner and mode from here.
COPY --from=build --chown=65532:65532 /state/ /var/lib/
ENV STATE_DIRECTORY=/var/lib/tickline
VOLUME /var/lib/tickline
WORKDIR /var/lib/tickline
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 9600
# The engine of this container, at 127.0.0.1:9600.
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s --retries=3 CMD ["/usr/bin/tickline", "health", "--ready"]
ENTRYPOINT ["/usr/bin/tickline"]
CMD ["run", "--config", "/etc/tickline/tickline.toml"]
