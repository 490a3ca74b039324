# beets with this plugin: docs/installing.rst shows how to run it. With
# --build-arg PACKAGE=beets-soundtags-lite, in a tenth of the space.
FROM python:3.13-slim
ARG PACKAGE=beets-soundtags
RUN pip install --no-cache-dir --root-user-action=ignore "$PACKAGE"
# The configuration and the library; the music goes into /music.
ENV BEETSDIR=/config HOME=/config
WORKDIR /music
ENTRYPOINT ["beet"]
