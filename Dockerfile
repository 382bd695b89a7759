# Static, from scratch, not root: the image holds one file and the roots of TLS.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=development
RUN CGO_ENABLED=0 go build -trimpath -pgo cmd/stile/release.pgo -ldflags "-s -w -X main.version=${VERSION}" -o /stile ./cmd/stile

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /stile /stile
USER 65532:65532
EXPOSE 4180 9180
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s CMD ["/stile", "health"]
ENTRYPOINT ["/stile"]
CMD ["serve", "-c", "/etc/stile/stile.yaml"]
