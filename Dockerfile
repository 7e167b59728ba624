# Ferry as a container: built in stages, so that compilers and TypeScript stay out of what is shipped.
ARG NODE=node:24-bookworm-slim

FROM ${NODE} AS tools
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 make g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

# TypeScript to JavaScript.
FROM tools AS compile
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

# What runs: ssh2's native crypto built for the image's own Node, and no other Node (optional) beside it.
FROM tools AS modules
COPY src/install src/install
RUN npm ci --omit=dev --omit=optional \
 && node -e "if (!require('ssh2/lib/protocol/crypto.js').bindingAvailable) throw new Error('no native crypto')" \
 && rm -rf node_modules/nan node_modules/ssh2/lib/protocol/crypto/build/Release/obj.target \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete

FROM ${NODE}
ENV NODE_ENV=production FERRY_JOBS=/ferry/jobs FERRY_DATA=/ferry/data
# Whatever user the container runs as may write its data; a volume put here starts out the same.
RUN mkdir -p /ferry/jobs /ferry/outbox /ferry/data && chmod 1777 /ferry/data \
 && printf '#!/bin/sh\nexec node /app/src/install/ferry.cjs "$@"\n' > /usr/local/bin/ferry && chmod 755 /usr/local/bin/ferry
COPY --from=modules /app/node_modules /app/node_modules
COPY --from=compile /app/dist /app/dist
COPY src/install /app/src/install
COPY package.json LICENSE /app/
WORKDIR /ferry
USER node
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["node", "-e", \
  "const at = process.env.FERRY_HTTP || '127.0.0.1:8080'; at === 'off' || fetch(`http://127.0.0.1:${at.split(':').pop()}/healthz/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/src/install/ferry.cjs"]
CMD ["start"]
